// What things are called: levels, states, qualities, quantities, areas, channels, alarms.
import { alarms, link, now, quality, site, table, tick, value } from "../live/state";
import type { Alarm, AlarmEvent } from "../live/types";
import { either, lang, texts } from "../text";


export const GONE = "— —";

const en = {
  levels: { normal: "normal", warning: "warning", fault: "fault", low: "low", high: "high" },
  states: {
    normal: "Normal", unacked: "Unacknowledged", acked: "Acknowledged", returned: "Gone, unacknowledged",
    latched_unacked: "Held, unacknowledged", latched_acked: "Held until reset", shelved: "Shelved", suppressed: "Suppressed", out_of_service: "Out of service",
  },
  qualities: {
    good: "good", uncertain: "uncertain", clock_doubtful: "clock doubtful", over_range: "over range", test: "under test", maintenance: "maintenance", bad: "no value",
    comms_lost: "no connection", sensor_fault: "sensor fault", under_range: "under range", warm_up: "warming up", calibration: "being calibrated",
    inhibited: "inhibited", stale: "stale", frozen: "frozen", refused: "refused", unreadable: "unreadable",
  },
  system: {
    connection: "Connection", rule: "Rule", uplink: "Uplink", disk: "Disk", load: "Overload", api: "Console",
    permit: "Permit over", calibration: "Calibration", "bump-test": "Bump test", "out-of-service": "Out of service", overdue: "Overdue", notifier: "Notifications", output: "Sounder",
  },
};
type Tables = { [K in keyof typeof en]: Record<keyof (typeof en)[K], string> };
const zh: Tables = {
  levels: { normal: "正常", warning: "预警", fault: "故障", low: "低限", high: "高限" },
  states: {
    normal: "正常", unacked: "未确认", acked: "已确认", returned: "已恢复，未确认",
    latched_unacked: "已恢复（保持），未确认", latched_acked: "已恢复（保持），待复位", shelved: "已搁置", suppressed: "已抑制", out_of_service: "已停用",
  },
  qualities: {
    good: "正常", uncertain: "不确定", clock_doubtful: "时钟可疑", over_range: "超量程", test: "测试中", maintenance: "维护中", bad: "无数值",
    comms_lost: "通信中断", sensor_fault: "传感器故障", under_range: "低于量程", warm_up: "预热中", calibration: "标定中",
    inhibited: "已禁止", stale: "数据陈旧", frozen: "数值冻结", refused: "被拒绝", unreadable: "无法读取",
  },
  system: {
    connection: "通信连接", rule: "规则", uplink: "上报平台", disk: "磁盘", load: "负荷过高", api: "控制台",
    permit: "停用到期", calibration: "标定", "bump-test": "功能测试", "out-of-service": "停用提醒", overdue: "处置超时", notifier: "通知", output: "声光输出",
  },
};
const QUANTITIES: Record<string, [string, string]> = {
  temperature: ["Temperature", "温度"], smoke: ["Smoke", "烟雾"], humidity: ["Humidity", "湿度"], pressure: ["Pressure", "压力"], level: ["Level", "液位"],
  flow: ["Flow", "流量"], flame: ["Flame", "火焰"], heat: ["Heat", "感温"], current: ["Current", "电流"], voltage: ["Voltage", "电压"], wind_speed: ["Wind", "风速"],
  ch4: ["CH4", "甲烷 CH4"], co: ["CO", "一氧化碳 CO"], h2s: ["H2S", "硫化氢 H2S"], o2: ["O2", "氧气 O2"], nh3: ["NH3", "氨 NH3"], cl2: ["Cl2", "氯气 Cl2"], so2: ["SO2", "二氧化硫 SO2"],
  co2: ["CO2", "二氧化碳 CO2"], h2: ["H2", "氢气 H2"], voc: ["VOC", "VOC"], lel: ["LEL", "可燃气"], lpg: ["LPG", "液化气"], no2: ["NO2", "二氧化氮 NO2"],
};

const now_ = (): Tables => (lang.value === "zh" ? zh : en);
const from = (words: Record<string, string>, key: string): string => words[key] ?? key.replaceAll("_", " ");
export const levelWord = (level: string): string => from(now_().levels, level);
export const stateWord = (state: string): string => from(now_().states, state);
export const qualityWord = (name: string): string => from(now_().qualities, name);

/** `ch4` as `CH4`, `temperature` as `温度`. */
export function quantityWord(name: string): string {
  const known = QUANTITIES[name];
  if (known) return known[lang.value === "zh" ? 1 : 0];
  return name.length <= 4 || /^(?:[bcfhnops]\d*)*[bcfhnops]\d+(?:[bcfhnops]\d*)*$/.test(name) ? name.toUpperCase() : name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
}

/** An area as people call it; its id where nobody has named it. */
export function areaName(id: string): string {
  const found = site.value?.areas.find((area) => area.id === id);
  return found ? either(found.label || id, found.label_zh) : id;
}

/** Row of a channel in the table, or -1. */
export const rowOf = (channel: string): number => table.value?.index.get(channel) ?? -1;

/** A channel as people call it. */
export function channelName(channel: string): string {
  const row = rowOf(channel);
  const columns = table.value?.columns;
  return row < 0 || !columns ? channel : either(columns.label[row] ?? channel, columns.label_zh[row]);
}

/** A number with the channel's decimals; `— —` where there is none, or none that may be believed. */
export function valueText(row: number, given: number | null = null): string {
  // The values are no signal: whoever shows one is drawn again with each second's frame.
  void tick.value;
  const shown = given ?? value[row] ?? NaN;
  if (link.value === "lost" || link.value === "waiting" || !Number.isFinite(shown)) return GONE;
  return shown.toFixed(table.value?.columns.decimals[row] ?? 1);
}

/** A limit as people set it; one that was learned gets its channel's decimals. */
export function limitText(alarm: AlarmEvent): string {
  if (alarm.limit === null || (!alarm.channel && !alarm.instrument)) return "";
  const row = rowOf(alarm.channel);
  const digits = alarm.level === "warning" && row >= 0 ? table.value!.columns.decimals[row] ?? 2 : 6;
  return String(Number(alarm.limit.toFixed(digits)));
}

/** `≥` or `≤`: on which side of its limit the alarm lies; once it is over, the value is on the other one. */
export const side = ({ value, limit, condition }: AlarmEvent): string => (value !== null && limit !== null && value < limit !== (condition === "normal") ? "≤" : "≥");

export interface About {
  /** What is wrong, in two words: `CH4 high`, `Connection bus-1`. */ what: string;
  /** Which point, or why. */ sub: string;
  where: string;
  /** The sentence that explains it. */ why: string;
}

/** Whether it is the gateway's own: it has no channel and no area. */
export const isSystem = (alarm: { alarm: string }): boolean => alarm.alarm.startsWith("system/");

/** Say an alarm in words. */
export function about(alarm: AlarmEvent): About {
  const why = either(alarm.said || alarm.why, alarm.said ? alarm.said_zh : alarm.why_zh);
  if (isSystem(alarm)) {
    const [, kind = "", ...rest] = alarm.alarm.split("/");
    return { what: `${from(now_().system, kind)}${rest.length ? ` ${rest.join("/")}` : ""}`, sub: why, where: areaName(alarm.area) || texts({ en: { own: "Gateway" }, zh: { own: "网关" } })().own, why };
  }
  const name = alarm.channel ? channelName(alarm.channel) : alarm.instrument;
  const quantity = alarm.quantity ? quantityWord(alarm.quantity) : alarm.alarm;
  const told = alarm.level === "warning" || !alarm.channel;
  const short = why.replace(/^.*?(: |：)/, "");
  return { what: `${quantity} ${levelWord(alarm.level)}`, sub: told ? [name, short].filter(Boolean).join(" · ") : name, where: areaName(alarm.area) || alarm.instrument, why };
}

/** What to do, in the language that is spoken: the rule's words, else the area's. */
export function responseOf(alarm: Alarm): string {
  const own = either(alarm.response ?? "", alarm.response_zh);
  if (own) return own;
  const area = site.value?.areas.find((one) => one.id === alarm.area);
  return area ? either(area.response, area.response_zh) : "";
}

export const phoneOf = (area: string): string => site.value?.areas.find((one) => one.id === area)?.phone ?? "";

/** The alarm of an id, if it is not normal. */
export const alarmOf = (id: string): Alarm | undefined => alarms.value.find((one) => one.id === id);

const JUDGED = new Set(["raised", "escalated", "de_escalated"]);

/** The live value of an alarm's channel where it has the alarm's unit, else the value it was judged by. */
export function shownValue(alarm: Alarm): { text: string; quality: string } {
  const row = rowOf(alarm.channel);
  const second = tick.value;
  const own = row >= 0 && table.value!.columns.unit[row] === alarm.unit;
  // What raised it is newer than the last second's values.
  if (own && alarm.value !== null && alarm.tick === second && JUDGED.has(alarm.kind)) return { text: valueText(row, alarm.value), quality: "" };
  if (own) return { text: valueText(row), quality: quality[row] ?? "bad" };
  if (alarm.value === null || (!alarm.channel && !isSystem(alarm))) return { text: "", quality: "" };
  return { text: valueText(row, alarm.value), quality: "" };
}

/** Milliseconds since an alarm was raised. */
export const ageOf = (alarm: AlarmEvent): number => (alarm.raised_at ? now.value - Date.parse(alarm.raised_at) : NaN);
