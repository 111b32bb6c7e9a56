import { texts } from "../../text";

export const t = texts({
  en: {
    title: "Commissioning", only: "Commissioning is for engineers: questions take time of the line.", signIn: "Sign in", readOnly: "Everything here only reads; nothing is written to instruments.",
    ports: "1 · Serial ports of this machine", noPorts: "This machine has no serial port. Instruments on the network need none.", device: "Device", lasting: "Name that lasts", adapter: "Adapter", free: "free", usedBy: "read by", notAllowed: (group: string) => `The gateway may not open it; its user needs the group ${group}.`, use: "Use", again: "Look again",
    scan: "2 · Find instruments", endpoint: "Line or host", endpointHint: "/dev/serial/by-id/… or tcp://10.0.0.7:502", units: "Unit addresses", lines: "Bit rates to try", allLines: "all usual", thorough: "Thorough (slower)", begin: "Begin", stop: "Stop", left: "left", found: (n: string) => `${n} found`, nobody: "Nobody has answered.", ended: "Ended", running: "Asking…", stopped: "stopped", progress: (done: string, all: string) => `${done} of ${all}`,
    unit: "Unit", line: "Line", answer: "Answer", what: "Likely", sure: "sure", snippet: "For the site file", copy: "Copy", copied: "Copied", marked: "Marked: press Ctrl+C", reload: "Put it into the site file, then reload the gateway.", look: "Look at registers",
    registers: "3 · Registers, live", through: "Through connection", atEndpoint: "At an endpoint", table: "Table", holding: "Holding (4x, FC03)", input: "Input (3x, FC04)", coil: "Coils (FC01)", discrete: "Discrete inputs (FC02)", address: "From address", count: "How many", read: "Read once", live: "Read every second", pause: "Pause", took: (ms: string) => `answered in ${ms} ms`, refusedAt: (n: string) => `${n} refused`,
    addr: "Address", hex: "Hex", u16: "u16", i16: "i16", orderTold: "32 bits from here, by byte order", kind: "32-bit values as", float32: "float", uint32: "unsigned", int32: "signed", changed: "Changed values are marked for a moment.", exception: (n: string) => `exception ${n}`, noValue: "no value",
    guess: "4 · How is a shown value coded?", guessTold: "Read the instrument's own display and type what it shows. With each further value fewer ways are left.", shown: "Display shows", unitOf: "Unit of the value", fullScale: "Full scale", ask: "Read and guess", unique: "Only one way is left", share: "Likelihood", type: "Type", order: "Order", scale: "Factor", gives: "Gives", twins: "same as", samples: (n: string) => `${n} values so far`, forget: "Begin anew", noGuess: "No way of reading these registers gives the shown values.",
    bump: "5 · Bump test", bumpTold: "Record a bump test or a calibration on the instrument's page.", instruments: "Instruments", checkAll: "Check a connection", checkNow: "Read every channel", value: "Value", quality: "Quality", why: "Why", time: "took",
  },
  zh: {
    title: "调试", only: "调试仅限工程师：查询会占用总线时间。", signIn: "登录", readOnly: "此页只读，不会向仪表写入任何内容。",
    ports: "1 · 本机串口", noPorts: "本机没有串口。网络仪表不需要串口。", device: "设备", lasting: "固定名称", adapter: "适配器", free: "空闲", usedBy: "占用者", notAllowed: (group: string) => `网关无权打开；其用户需加入 ${group} 组。`, use: "使用", again: "重新查找",
    scan: "2 · 查找仪表", endpoint: "线路或主机", endpointHint: "/dev/serial/by-id/… 或 tcp://10.0.0.7:502", units: "站号", lines: "尝试的波特率", allLines: "全部常用", thorough: "彻底扫描（较慢）", begin: "开始", stop: "停止", left: "剩余", found: (n: string) => `找到 ${n} 台`, nobody: "没有仪表应答。", ended: "已结束", running: "正在查询…", stopped: "已停止", progress: (done: string, all: string) => `${done} / ${all}`,
    unit: "站号", line: "线路参数", answer: "应答", what: "可能型号", sure: "确定", snippet: "用于站点文件", copy: "复制", copied: "已复制", marked: "已选中，请按 Ctrl+C", reload: "写入站点文件后重新加载网关。", look: "查看寄存器",
    registers: "3 · 实时寄存器", through: "经由连接", atEndpoint: "指定端点", table: "寄存器区", holding: "保持寄存器（4x，FC03）", input: "输入寄存器（3x，FC04）", coil: "线圈（FC01）", discrete: "离散输入（FC02）", address: "起始地址", count: "数量", read: "读一次", live: "每秒读取", pause: "暂停", took: (ms: string) => `${ms} 毫秒应答`, refusedAt: (n: string) => `${n} 个被拒绝`,
    addr: "地址", hex: "十六进制", u16: "u16", i16: "i16", orderTold: "自此地址起 32 位，按字节序", kind: "32 位数值按", float32: "浮点", uint32: "无符号", int32: "有符号", changed: "变化的数值会短暂标出。", exception: (n: string) => `异常码 ${n}`, noValue: "无数值",
    guess: "4 · 显示值如何编码？", guessTold: "读取仪表自身的显示值并填入。每多一个值，可能的方式就更少。", shown: "仪表显示", unitOf: "单位", fullScale: "满量程", ask: "读取并推断", unique: "只剩一种方式", share: "可能性", type: "类型", order: "字节序", scale: "系数", gives: "得到", twins: "等同于", samples: (n: string) => `已有 ${n} 个值`, forget: "重新开始", noGuess: "没有一种读法能得到所显示的值。",
    bump: "5 · 通气测试", bumpTold: "通气测试与标定在仪表页面记录。", instruments: "仪表", checkAll: "检查一个连接", checkNow: "读取全部测点", value: "数值", quality: "质量", why: "原因", time: "用时",
  },
});
