import { texts } from "../../text";

export const t = texts({
  en: {
    title: "Alarm statistics", absent: "This gateway keeps no alarm statistics.", shift: "Shift", day: "24 hours", week: "7 days", month: "30 days", monthly: "Monthly report", daily: "Daily report",
    fix: "What to fix first", fixNone: "Nothing stands out: no alarm of this span asks to be mended.",
    raised: "Alarms raised", perHour: "Per hour", peak: "Most in 10 minutes", flood: "Time in flood", median: "Median until acknowledged", unacked: "Unacknowledged now",
    guideHour: "guide: at most 6, 12 can just be managed", guidePeak: (n: string) => `flood: more than ${n}`, guideFlood: "guide: below 1 %", p90: (s: string) => `nine in ten within ${s}`, above: "above the guide", wait: "somebody must look at them",
    rate: "Alarms per 10 minutes", rateHour: "Most alarms in any 10 minutes, by hour", rateQuarter: "Most alarms in any 10 minutes, by 6 hours", limit: (n: string) => `${n} = flood`,
    floods: "Floods", floodLine: (n: string) => `${n} alarms`, still: "goes on", noFlood: "No flood in this span.",
    top: "Ten most frequent", share: "of all", mix: "Priorities", mixTold: "Mark on the bar: guide 5 / 15 / 80 %. Too many of the highest, and none of them is believed.", guide: (p: string) => `guide ${p} %`,
    chattering: "Chattering", chatteringTold: "3 times a minute or more", perMin: (n: string) => `${n} a minute`, times: (n: string) => `${n}×`, fleeting: "Fleeting", fleetingTold: "gone before anybody could act",
    stale: "Standing", staleTold: "active for more than 24 h", since: "since", shelved: "Shelved", out: "Out of service", suppressed: "Suppressed by the site's logic", none: "None",
    cases: "Responses", opened: "opened", closed: "closed", overdue: "overdue", real: "Real alarm", false: "False alarm", maintenance: "Maintenance", test: "Test", instrument_fault: "Instrument fault",
    span: "Span", noData: "No alarm was raised in this span.", at: (time: string, n: string) => `${time}: ${n}`, total: "in all", table: "As a table", time: "Time", count: "Alarms",
  },
  zh: {
    title: "报警统计", absent: "本网关未提供报警统计。", shift: "本班", day: "24 小时", week: "7 天", month: "30 天", monthly: "月报", daily: "日报",
    fix: "先整改什么", fixNone: "没有突出问题：本时段内没有需要整改的报警。",
    raised: "报警次数", perHour: "每小时", peak: "10 分钟内最多", flood: "洪泛时间占比", median: "确认用时中位数", unacked: "目前未确认",
    guideHour: "建议不超过 6，12 为勉强可管理", guidePeak: (n: string) => `超过 ${n} 即为洪泛`, guideFlood: "建议低于 1 %", p90: (s: string) => `九成在 ${s} 内`, above: "高于建议值", wait: "需要有人查看",
    rate: "每 10 分钟报警次数", rateHour: "每小时内任意 10 分钟的最多次数", rateQuarter: "每 6 小时内任意 10 分钟的最多次数", limit: (n: string) => `${n} = 洪泛`,
    floods: "报警洪泛", floodLine: (n: string) => `${n} 条报警`, still: "仍在持续", noFlood: "本时段内无洪泛。",
    top: "最频繁的十个报警", share: "占全部", mix: "优先级分布", mixTold: "条上刻线为建议值 5 / 15 / 80 %。最高级过多，便无人当真。", guide: (p: string) => `建议 ${p} %`,
    chattering: "抖动报警", chatteringTold: "每分钟 3 次及以上", perMin: (n: string) => `每分钟 ${n} 次`, times: (n: string) => `${n} 次`, fleeting: "瞬时报警", fleetingTold: "来不及处理即消失",
    stale: "长期报警", staleTold: "持续超过 24 小时", since: "始于", shelved: "搁置", out: "停用", suppressed: "按站点逻辑抑制", none: "无",
    cases: "警情处置", opened: "建立", closed: "归档", overdue: "超时", real: "真实报警", false: "误报", maintenance: "检修", test: "测试", instrument_fault: "仪表故障",
    span: "时段", noData: "本时段内没有报警。", at: (time: string, n: string) => `${time}：${n}`, total: "合计", table: "表格", time: "时间", count: "次数",
  },
});
