import { texts } from "../../text";

export const t = texts({
  en: {
    all: "Instruments", bump: "Bump test", calibration: "Calibration", last: "last", due: "due", never: "never recorded", by: (who: string) => `by ${who}`,
    states: (state: string) => ({ none: "not asked for", ok: "in order", due: "due soon", overdue: "overdue", failed: "not passed" })[state] ?? state,
    record: "Record a test", what: "What was done", shown: (unit: string) => `Reading with test gas${unit ? ` (${unit})` : ""}`,
    expects: (text: string) => `expected ${text}`, passed: "Result", yes: "Passed", no: "Not passed", note: "Note", save: "Record", cancel: "Cancel",
    recorded: "Recorded.", judged: (passed: boolean) => (passed ? "Recorded: passed." : "Recorded: not passed. The instrument stays in fault until a test is passed."),
    gas: "Test gas", checklist: "Checklist", tick: "Tick what is in order.", send: "Send the checklist", sent: "Checklist sent.",
    problem: "Report a problem", seen: "What did you see?", photo: "Photo (optional)", report: "Report", reported: "Reported: a response is open until somebody closes it.",
    toCase: "To the response", alarms: "Alarms", calm: "No alarm.", unknown: "Not known: no link to the gateway.", ack: "Acknowledge", values: "Values", gone: "There is no such instrument on this site.",
    needs: "Say what you saw.", large: "The photo cannot be made small enough; send the report without it.", remove: "Remove the photo", limits: "Limits",
    tests: "Tests", point: "Trend", nothing: "Give the reading, or say whether it passed.",
  },
  zh: {
    all: "仪表", bump: "功能测试", calibration: "标定", last: "上次", due: "到期", never: "无记录", by: (who: string) => `${who}`,
    states: (state: string) => ({ none: "无要求", ok: "有效", due: "即将到期", overdue: "已逾期", failed: "不合格" })[state] ?? state,
    record: "登记检测", what: "检测类型", shown: (unit: string) => `通入标气后的示值${unit ? `（${unit}）` : ""}`,
    expects: (text: string) => `应为 ${text}`, passed: "结果", yes: "合格", no: "不合格", note: "备注", save: "登记", cancel: "取消",
    recorded: "已登记。", judged: (passed: boolean) => (passed ? "已登记：合格。" : "已登记：不合格。检测合格前，该仪表保持故障状态。"),
    gas: "标准气体", checklist: "点检表", tick: "勾选正常的项目。", send: "提交点检", sent: "点检已提交。",
    problem: "上报问题", seen: "发现了什么？", photo: "照片（可选）", report: "上报", reported: "已上报：已生成处置单，须由人员闭环。",
    toCase: "查看处置单", alarms: "报警", calm: "当前无报警。", unknown: "未知：与网关断开。", ack: "确认", values: "实时值", gone: "本站点没有该仪表。",
    needs: "请说明发现的情况。", large: "照片无法压缩到允许的大小，请不带照片上报。", remove: "移除照片", limits: "限值",
    tests: "检测", point: "趋势", nothing: "请填写示值，或选择是否合格。",
  },
});
