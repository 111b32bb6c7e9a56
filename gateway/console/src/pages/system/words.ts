import { texts } from "../../text";

export const t = texts({
  en: {
    title: "System", version: "Version", up: "running for", statistics: "Alarm statistics", commissioning: "Commissioning", people: "Accounts", metrics: "Metrics", export: "Journal as file",
    trouble: "What is not as it should be", well: "Everything is in order", wellTold: (n: string) => `${n} instruments online, everything delivered`,
    alarm: "alarm", offline: (n: string, all: string) => `${n} of ${all} instruments are offline`, down: (id: string) => `${id} does not deliver`, dead: (id: string, n: string) => `${id}: ${n} were refused for good and were not delivered`, unsaved: (n: string) => `${n} events are not on disk yet`,
    notTold: (id: string) => `${id} does not tell anybody`, refuses: (id: string) => `${id} does not do what the alarms ask`, unknown: (id: string) => `Nobody knows what ${id} does`, skew: (s: string, way: string) => `This computer's clock is ${s} ${way} the gateway's. All times here are the gateway's.`, ahead: "ahead of", behind: "behind", dropped: (n: string) => `${n} readings were dropped because the spool was full`,
    instruments: "Instruments", connection: "Connection", online: "online", last: "last heard", readings: "Readings", bad: "bad", reason: "Reason", all: "All", off: "offline", more: (n: string) => `${n} more`, noInstruments: "No instrument is set up yet.", firstSteps: "First steps: see the ports of this machine, scan the bus, write the site file.", begin: "To commissioning",
    never: "never", ago: "ago",
    deliveries: "Stores and platforms", kind: "Kind", store: "Store", uplink: "Platform", state: "State", delivers: "delivers", fails: "does not deliver", waiting: "Waiting", oldest: "oldest", delivered: "Delivered", deadHead: "Refused", none: "None are set up.",
    notifiers: "Notifications", sent: "Sent", failed: "Failed", test: "Test", testing: "Sending…", tested: "Taken", notTested: "Not taken", ok: "works", busy: "busy", failing: "fails", unknownHealth: "not used yet",
    outputs: "Sounders and beacons", wanted: "Asked for", shown: "Does", on: "on", offState: "off", nobody: "unknown", byAlarms: (n: string) => `${n} alarms`,
    suppressed: "Suppressed by the site's logic", by: "by", noneSuppressed: "Nothing is suppressed now.", outOfService: "Out of service", until: "until", permitOver: "permit over", noneOut: "Nothing is out of service.", permit: "Permit", shelved: "Shelved", noneShelved: "Nothing is shelved.",
    clock: "Clock", gateway: "Gateway", here: "This computer", zone: "Time zone", differ: "Difference",
    disk: "Journal and spool", events: "Events", onDisk: "all on disk", notOnDisk: (n: string) => `${n} not yet on disk`, spool: "Spool", inbox: "Inbox", lost: "dropped", none_: "none", rules: "Rules", learning: (n: string) => `${n} learning`, resting: (n: string) => `${n} over their budget`, figures: "All figures", epoch: "Journal epoch",
    readingsTotal: "Readings so far", badShare: "of them bad", sound: "Sound of this browser", soundTest: "Play the three tones", verify: "Prove the journal with `hazgate verify`.",
  },
  zh: {
    title: "系统", version: "版本", up: "已运行", statistics: "报警统计", commissioning: "调试", people: "账号", metrics: "指标", export: "导出日志",
    trouble: "异常项", well: "一切正常", wellTold: (n: string) => `${n} 台设备在线，数据均已送达`,
    alarm: "报警", offline: (n: string, all: string) => `${all} 台设备中有 ${n} 台离线`, down: (id: string) => `${id} 无法送达`, dead: (id: string, n: string) => `${id}：${n} 条被永久拒收，未送达`, unsaved: (n: string) => `${n} 条事件尚未写入磁盘`,
    notTold: (id: string) => `${id} 无法发出通知`, refuses: (id: string) => `${id} 的动作与报警要求不符`, unknown: (id: string) => `${id} 的实际状态未知`, skew: (s: string, way: string) => `本机时钟比网关${way} ${s}，页面时间均为网关时间。`, ahead: "快", behind: "慢", dropped: (n: string) => `缓存已满，丢弃了 ${n} 条读数`,
    instruments: "设备", connection: "连接", online: "在线", last: "最近通信", readings: "读数", bad: "无效", reason: "原因", all: "全部", off: "离线", more: (n: string) => `另有 ${n} 台`, noInstruments: "尚未配置设备。", firstSteps: "首次使用：查看本机串口，扫描总线，编写站点文件。", begin: "前往调试",
    never: "从未", ago: "前",
    deliveries: "数据库与上报平台", kind: "类别", store: "数据库", uplink: "平台", state: "状态", delivers: "正常送达", fails: "无法送达", waiting: "待送", oldest: "最早", delivered: "已送达", deadHead: "拒收", none: "未配置。",
    notifiers: "通知", sent: "已发送", failed: "失败", test: "测试", testing: "正在发送…", tested: "对方已接收", notTested: "未被接收", ok: "正常", busy: "繁忙", failing: "失败", unknownHealth: "尚未使用",
    outputs: "声光输出", wanted: "要求", shown: "实际", on: "开", offState: "关", nobody: "未知", byAlarms: (n: string) => `${n} 条报警`,
    suppressed: "按站点逻辑抑制", by: "依据", noneSuppressed: "当前没有被抑制的报警。", outOfService: "停用（检修）", until: "至", permitOver: "作业票已到期", noneOut: "当前没有停用的报警。", permit: "作业票", shelved: "搁置", noneShelved: "当前没有搁置的报警。",
    clock: "时钟", gateway: "网关", here: "本机", zone: "时区", differ: "偏差",
    disk: "日志与缓存", events: "事件", onDisk: "均已写入磁盘", notOnDisk: (n: string) => `${n} 条尚未写入`, spool: "缓存", inbox: "待处理", lost: "丢弃", none_: "无", rules: "规则", learning: (n: string) => `${n} 条学习中`, resting: (n: string) => `${n} 条超出预算`, figures: "全部指标", epoch: "日志纪元",
    readingsTotal: "累计读数", badShare: "其中无效", sound: "本浏览器声音", soundTest: "试听三级报警声", verify: "可用 `hazgate verify` 校验日志链。",
  },
});
