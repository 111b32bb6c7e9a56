import { texts } from "../../text";

export const t = texts({
  en: {
    title: "Shift handover", draft: "Draft, as things stand now", until: "until", print: "Print", html: "Report", pdf: "PDF", absent: "This gateway keeps no shift handovers.",
    open: "Open alarms", shelved: "Shelved", out: "Out of service", suppressed: "Suppressed by the site's logic", cases: "Open responses", calibrations: "Calibrations due", figures: "Alarms of the shift", notes: "Notes",
    none: "None", notesNone: "Nothing noted yet.", noteHint: "What the next shift must know", addNote: "Add note",
    since: "since", ends: "ends", left: "left", permit: "Permit", permitOver: "permit over", acked: (who: string) => `acknowledged by ${who}`, by: (who: string) => `by ${who}`, due: "due", never: "never done", leftOut: (n: string) => `${n} more open alarms are not listed here; see Now.`, altered: "The kept report is not what was signed. Tell the engineer.", superseded: "Another signature has taken the place of this one.", lastHours: "Last hours", overdue: "overdue", calibration: "Calibration", bump: "Bump test",
    raised: "Raised", perHour: "per hour", peak: "Most in 10 min", flood: "Time in flood", median: "Median until acknowledged", unacked: "Unacknowledged now", all: "All statistics",
    sign: "Sign over", signWhy: "Remark to the incoming shift (may be left out)", signAs: (who: string) => `You sign as ${who}. What stands here is kept as it is now.`, signStranger: "You will be asked to sign in.", signPress: "Sign over this shift",
    signed: "Signed over", accepted: "Accepted", acceptNone: "Not accepted yet", accept: "Accept", acceptWhy: "Remark (may be left out)", acceptPress: "I have read this and take over", acceptAs: (who: string) => `You accept as ${who}.`, acceptOther: "Whoever signed over cannot accept as well: somebody of the incoming shift must sign in.",
    acceptSure: "Read the sections on the left first.", waiting: "Waits to be accepted", read: "Read and accept", past: "Past handovers", pastNone: "No handover has been signed yet.", older: "Older ones", back: "Present shift", doneSign: "Shift signed over", doneAccept: "Shift accepted", noted: "Noted",
    calm: "Nothing is open, shelved or out of service.", response: "Response", state: "State", count: (n: string) => `${n}`, offline: "No link: what stands here may be old, and nothing can be signed.",
  },
  zh: {
    title: "交接班", draft: "草稿（当前状态）", until: "至", print: "打印", html: "报告", pdf: "PDF", absent: "本网关未启用交接班。",
    open: "未结束的报警", shelved: "搁置", out: "停用（检修）", suppressed: "按站点逻辑抑制", cases: "处理中的警情", calibrations: "到期标定", figures: "本班报警统计", notes: "交班记事",
    none: "无", notesNone: "尚无记事。", noteHint: "需要告知下一班的事项", addNote: "添加记事",
    since: "始于", ends: "截止", left: "剩余", permit: "作业票", permitOver: "作业票已到期", acked: (who: string) => `${who} 已确认`, by: (who: string) => `${who}`, due: "到期", never: "从未进行", leftOut: (n: string) => `另有 ${n} 条未结束的报警未列出，见值守页。`, altered: "存档的报告与签字时不一致，请告知工程师。", superseded: "已有新的交班签字取代此份。", lastHours: "最近数小时", overdue: "已超期", calibration: "标定", bump: "通气测试",
    raised: "报警次数", perHour: "每小时", peak: "10 分钟内最多", flood: "洪泛时间占比", median: "确认用时中位数", unacked: "目前未确认", all: "全部统计",
    sign: "交班", signWhy: "给接班人员的备注（可不填）", signAs: (who: string) => `以 ${who} 的名义交班，当前内容将原样存档。`, signStranger: "提交时需要登录。", signPress: "确认交班",
    signed: "交班", accepted: "接班", acceptNone: "尚未接班", accept: "接班", acceptWhy: "备注（可不填）", acceptPress: "已阅读，确认接班", acceptAs: (who: string) => `以 ${who} 的名义接班。`, acceptOther: "交班人不能同时接班：请接班人员登录后确认。",
    acceptSure: "请先阅读左侧各项内容。", waiting: "等待接班", read: "查看并接班", past: "历次交接班", pastNone: "尚无已签字的交接班。", older: "更早的记录", back: "当前班次", doneSign: "已交班", doneAccept: "已接班", noted: "已添加",
    calm: "没有未结束、搁置或停用的报警。", response: "处置", state: "状态", count: (n: string) => `${n} 项`, offline: "与网关断开：所示内容可能已过时，暂不能签字。",
  },
});
