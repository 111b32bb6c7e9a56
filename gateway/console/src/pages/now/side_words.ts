import { texts } from "../../text";

export const words = texts({
  en: {
    first: "first-out", test: "TEST", delayed: "delayed", shelve: "Shelve", out: "Out of service", point: "Point", doNow: "What to do", acked: (who: string, at: string) => `Acknowledged by ${who} at ${at}`, limit: "limit",
    shelvedUntil: (at: string) => `until ${at}`, permit: "Permit", reason: "Reason", suppressedBy: "Suppressed by", condition: "Condition now",
    places: "Areas", channels: (n: string) => `${n} channels`, bad: (n: string) => `${n} without a value`, detail: "Selected alarm",
    latching: "held until reset", journal: "Journal", followsFirst: (what: string) => `follows ${what}`, occurrence: (n: string) => `occurrence ${n}`,
  },
  zh: {
    first: "首发", test: "测试", delayed: "延时", shelve: "搁置", out: "停用", point: "测点", doNow: "处置要求",
    acked: (who: string, at: string) => `${who} 于 ${at} 确认`, limit: "限值", shelvedUntil: (at: string) => `至 ${at}`, permit: "作业票", reason: "原因",
    suppressedBy: "抑制依据", condition: "当前状况", places: "区域", channels: (n: string) => `${n} 个测点`, bad: (n: string) => `${n} 个无数值`,
    detail: "所选报警", latching: "保持至复位", journal: "日志", followsFirst: (what: string) => `${what} 的后续`, occurrence: (n: string) => `第 ${n} 次`,
  },
});
