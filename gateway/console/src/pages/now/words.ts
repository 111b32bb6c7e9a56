import { texts } from "../../text";

export const words = texts({
  en: {
    alarms: "Alarms", since: "Since", where: "Where", what: "Alarm", value: "Value", state: "State", mark: (what: string) => `Mark ${what}`, markAll: "Mark all",
    news: (n: string) => `${n} new`, over: "over", first: "first-out", follows: "follows", test: "TEST", delayed: "delayed", by: (who: string) => `by ${who}`, left: "ends in", silenced: "silenced",
    acknowledge: "Acknowledge", ack: "Ack", reset: "Reset", unshelve: "Unshelve", back: "Return", response: "Response", shelve: "Shelve", out: "Out of service", more: "More",
    open: "All", faults: "Faults", warnings: "Warnings", shelved: "Shelved", out_of_service: "Out of service", suppressed: "Suppressed",
    marked: (n: string) => `${n} marked`, clear: "Clear marks", filtered: (n: string) => `${n} open alarms are not shown`, showAll: "Show all",
    none: "No alarms", online: (n: string) => `${n} channels online`, offline: (n: string) => `${n} without a value`, updated: (at: string) => `updated ${at}`, nothing: "Nothing here",
    waiting: "Waiting for the gateway", waitingSub: "Nothing is shown before the gateway has said it.", lost: "Nothing is known", lostSub: "The link to the gateway is down.",
    point: "Point", doNow: "What to do", nobody: "Nobody has acknowledged it yet", acked: (who: string, at: string) => `Acknowledged by ${who} at ${at}`, limit: "limit",
    shelvedUntil: (at: string) => `until ${at}`, permit: "Permit", reason: "Reason", suppressedBy: "Suppressed by", raised: "Raised", condition: "Condition now", responder: "Response", quality: "Quality",
    places: "Areas", channels: (n: string) => `${n} channels`, bad: (n: string) => `${n} without a value`, calm: "calm", plan: "Plan", detail: "Selected alarm",
    start: "No instruments yet", start1: "See what is plugged in", start2: "Find the instruments on a line", start3: "Write the site file and check it", start4: "Then start the gateway with it.",
    latching: "held until reset", journal: "Journal", followsFirst: (what: string) => `follows ${what}`, occurrence: (n: string) => `occurrence ${n}`,
  },
  zh: {
    alarms: "报警", since: "发生", where: "位置", what: "报警", value: "数值", state: "状态", mark: (what: string) => `勾选 ${what}`, markAll: "全选",
    news: (n: string) => `${n} 条新报警`, over: "已结束", first: "首发", follows: "后续", test: "测试", delayed: "延时", by: (who: string) => who, left: "剩余", silenced: "已消音",
    acknowledge: "确认", ack: "确认", reset: "复位", unshelve: "取消搁置", back: "恢复使用", response: "处置", shelve: "搁置", out: "停用", more: "更多",
    open: "全部", faults: "故障", warnings: "预警", shelved: "搁置", out_of_service: "停用", suppressed: "抑制",
    marked: (n: string) => `已勾选 ${n} 条`, clear: "取消勾选", filtered: (n: string) => `另有 ${n} 条未结束报警未显示`, showAll: "显示全部",
    none: "当前无报警", online: (n: string) => `${n} 个测点在线`, offline: (n: string) => `${n} 个无数值`, updated: (at: string) => `最近更新 ${at}`, nothing: "此处无内容",
    waiting: "正在等待网关", waitingSub: "网关送达数据前不显示任何内容。", lost: "状态未知", lostSub: "与网关的连接已断开。",
    point: "测点", doNow: "处置要求", nobody: "尚无人确认", acked: (who: string, at: string) => `${who} 于 ${at} 确认`, limit: "限值",
    shelvedUntil: (at: string) => `至 ${at}`, permit: "作业票", reason: "原因", suppressedBy: "抑制依据", raised: "发生", condition: "当前状况", responder: "处置", quality: "质量",
    places: "区域", channels: (n: string) => `${n} 个测点`, bad: (n: string) => `${n} 个无数值`, calm: "平稳", plan: "平面图", detail: "所选报警",
    start: "尚无仪表", start1: "查看已插接的串口", start2: "查找线路上的仪表", start3: "编写并检查站点文件", start4: "然后用它启动网关。",
    latching: "保持至复位", journal: "日志", followsFirst: (what: string) => `${what} 的后续`, occurrence: (n: string) => `第 ${n} 次`,
  },
});
