import { texts } from "../../text";

export const words = texts({
  en: {
    alarms: "Alarms", since: "Since", where: "Where", what: "Alarm", value: "Value", state: "State", mark: (what: string) => `Mark ${what}`, markAll: "Mark all",
    news: (n: string) => `${n} new`, over: "over", first: "first-out", follows: "follows", test: "TEST", delayed: "delayed", by: (who: string) => `by ${who}`, left: "ends in", silenced: "silenced",
    acknowledge: "Acknowledge", ack: "Ack", reset: "Reset", unshelve: "Unshelve", back: "Return", response: "Response",
    open: "All", faults: "Faults", warnings: "Warnings", shelved: "Shelved", out_of_service: "Out of service", suppressed: "Suppressed",
    filtered: (n: string) => `${n} open alarms are not shown`, showAll: "Show all",
    none: "No alarms", online: (n: string) => `${n} channels online`, offline: (n: string) => `${n} without a value`, updated: (at: string) => `updated ${at}`, nothing: "Nothing here",
    waiting: "Waiting for the gateway", waitingSub: "Nothing is shown before the gateway has said it.", lost: "Nothing is known", lostSub: "The link to the gateway is down.",
    limit: "limit",
  },
  zh: {
    alarms: "报警", since: "发生", where: "位置", what: "报警", value: "数值", state: "状态", mark: (what: string) => `勾选 ${what}`, markAll: "全选",
    news: (n: string) => `${n} 条新报警`, over: "已结束", first: "首发", follows: "后续", test: "测试", delayed: "延时", by: (who: string) => who, left: "剩余", silenced: "已消音",
    acknowledge: "确认", ack: "确认", reset: "复位", unshelve: "取消搁置", back: "恢复使用", response: "处置",
    open: "全部", faults: "故障", warnings: "预警", shelved: "搁置", out_of_service: "停用", suppressed: "抑制",
    filtered: (n: string) => `另有 ${n} 条未结束报警未显示`, showAll: "显示全部",
    none: "当前无报警", online: (n: string) => `${n} 个测点在线`, offline: (n: string) => `${n} 个无数值`, updated: (at: string) => `最近更新 ${at}`, nothing: "此处无内容",
    waiting: "正在等待网关", waitingSub: "网关送达数据前不显示任何内容。", lost: "状态未知", lostSub: "与网关的连接已断开。",
    limit: "限值",
  },
});
