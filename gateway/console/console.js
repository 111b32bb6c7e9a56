"use strict";
// The operator's page. Nothing here may look safe when it is not known to be: what is old says so, what is lost is gone.
const T = {
  en: {alarms: "Alarms", channels: "Channels", level: "Level", since: "Since", where: "Where", what: "What", value: "Value", limit: "Limit", state: "State",
    ack: "Acknowledge", reset: "Reset", silence: "Silence", signin: "Sign in", signout: "Sign out", token: "Access token", cancel: "Cancel",
    live: "live", stale: "stale", lost: "offline", soundOn: "Sound on", soundOff: "Sound off", soundBlocked: "Turn sound on",
    staleBar: "Data is stale: nothing received for %s s. Values may have changed.", lostBar: "Disconnected from the gateway. Last data %s. Look at the controllers on site.",
    never: "never", none: "No alarms", online: "%s channels online", notOnline: "%s without a value", updated: "updated %s", waiting: "Waiting for the gateway",
    first: "first", test: "TEST", delay: "delayed", news: "%s new below: move the pointer away to sort", rest: "%s more alarms are not shown here", filter: "Filter  /",
    unacked: "Unacknowledged", acked: "Acknowledged", returned: "Gone, unacknowledged", latched_unacked: "Held, unacknowledged", latched_acked: "Held until reset",
    shelved: "Shelved", suppressed: "Suppressed", out_of_service: "Out of service", until: "until %s", by: "by %s", viewer: "read only",
    low: "low", high: "high", fault: "fault", warning: "warning", refused: "Refused: %s", needToken: "This gateway needs an access token.", badToken: "The token was not accepted.", skew: "this computer's clock differs by %s s"},
  zh: {alarms: "报警", channels: "测点", level: "级别", since: "发生", where: "位置", what: "报警", value: "数值", limit: "限值", state: "状态",
    ack: "确认", reset: "复位", silence: "消音", signin: "登录", signout: "退出", token: "访问令牌", cancel: "取消",
    live: "在线", stale: "陈旧", lost: "离线", soundOn: "声音开", soundOff: "声音关", soundBlocked: "点此启用报警声",
    staleBar: "数据陈旧：%s 秒未收到数据，数值可能已变化。", lostBar: "与网关断开。最后数据 %s。请查看现场控制器。",
    never: "无", none: "当前无报警", online: "%s 个测点在线", notOnline: "%s 个无数值", updated: "最近更新 %s", waiting: "正在等待网关",
    first: "首发", test: "测试", delay: "延时", news: "下方新增 %s 条：移开指针后排序", rest: "另有 %s 条报警未在此显示", filter: "筛选  /",
    unacked: "未确认", acked: "已确认", returned: "已恢复，未确认", latched_unacked: "保持，未确认", latched_acked: "保持，待复位",
    shelved: "已搁置", suppressed: "已抑制", out_of_service: "停用", until: "至 %s", by: "%s", viewer: "只读",
    low: "低限", high: "高限", fault: "故障", warning: "预警", refused: "被拒绝：%s", needToken: "此网关需要访问令牌。", badToken: "令牌未被接受。", skew: "本机时钟相差 %s 秒"},
};
const Q = {uncertain: "不确定", clock_doubtful: "时钟可疑", over_range: "超量程", test: "测试中", maintenance: "维护", bad: "坏值", comms_lost: "通信中断", sensor_fault: "传感器故障",
  under_range: "低于量程", warm_up: "预热", calibration: "标定中", inhibited: "已禁止", stale: "陈旧", frozen: "冻结", refused: "被拒绝", unreadable: "无法读取"};
const GONE = "— —", ROW = 44, SHOWN = 200, UNACKED = ["unacked", "returned", "latched_unacked"], ASIDE = ["shelved", "suppressed", "out_of_service"];
const $ = (id) => document.getElementById(id);
const store = (s, k, v) => { try { return v === undefined ? s.getItem(k) : v === null ? s.removeItem(k) : s.setItem(k, v); } catch { return null; } };
let lang = store(localStorage, "lang") || (navigator.language.startsWith("zh") ? "zh" : "en");
let token = store(sessionStorage, "token"), role = "", epoch = "", site = "", qualities = {};
let alarms = new Map(), columns = null, index = new Map(), value = [], quality = [], view = [];
let seen = 0, known = 0, again = false;  // channel tables: the stream's, the list's; the stream ended because its table did
let order = [], fresh = 0, moved = 0, selected = "", pointer = 0, refusals = new Map(), busy = new Set();
let link = "lost", frameAt = -1e9, frameDate = 0, lastTime = "", frames = 0, skew = 0, mismatch = 0, stopper = null, wait = 1000, dirty = false;

const t = (key, part) => T[lang][key].replace("%s", part);
const make = (tag, cls, ...kids) => { const e = document.createElement(tag); if (cls) e.className = cls; e.append(...kids); return e; };
const put = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const clock = (iso) => { const d = new Date(iso), old = Date.now() - d > 864e5; return old ? `${d.getMonth() + 1}-${d.getDate()} ${d.toTimeString().slice(0, 5)}` : d.toTimeString().slice(0, 8); };
const span = (s) => s < 0 ? "" : s < 60 ? `${s} s` : s < 3600 ? `${s / 60 | 0} min` : s < 86400 ? `${s / 3600 | 0} h ${s / 60 % 60 | 0} min` : `${s / 86400 | 0} d`;
const unacked = (a) => UNACKED.includes(a.state);
const why = (a) => (lang === "zh" && a.why_zh) || a.why;
const reason = (a) => why(a).replace(/^.*?(: |：)/, "");  // what a detector has to say, without the sentence that leads to it
const word = (q) => lang === "zh" ? Q[q] || q : q.replaceAll("_", " ");

function shape(priority, level) {
  const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg");
  const add = (tag, attributes) => { const e = document.createElementNS(ns, tag); for (const k in attributes) e.setAttribute(k, attributes[k]); return svg.appendChild(e); };
  svg.setAttribute("viewBox", "0 0 24 24"); svg.setAttribute("class", `lv p${priority} ${level || ""}`); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", `${t("level")} ${priority}${level === "warning" ? ` ${t("warning")}` : ""}`);
  add("path", {class: "f", d: ["M12 3h1z", "M12 0 24 12 12 24 0 12z", "M12 1 24 23H0z", "M12 1a11 11 0 1 0 .01 0z", "M2 2h20v20H2z"][priority] || ""});
  if (level === "fault") add("path", {class: "w", d: "M16.6 6.1a3.9 3.9 0 0 0-5 4.9l-5 5a1.7 1.7 0 0 0 2.4 2.4l5-5a3.9 3.9 0 0 0 4.9-5l-2.3 2.3-2-.4-.4-2z"});
  else if (level === "warning") add("path", {class: "t", d: "M3.5 17.5l5-5.5 4 3 7-8.5m-5.2 0h5.2v5.2"});
  else add("text", {x: 12, y: priority === 2 ? 20.5 : 16.3}).textContent = priority || "";
  return svg;
}

// What is shown

function place(a) {
  const c = index.has(a.channel) ? index.get(a.channel) : -1, own = c >= 0 && columns.unit[c] === a.unit;
  let number = null;
  // What raised it is newer than the last second's values.
  if (link !== "lost") number = own && !(a.frame === frames && a.kind !== "acknowledged") ? value[c] : a.value;
  return {c, unit: a.unit, text: number === null || number === undefined ? GONE : number.toFixed(c >= 0 ? columns.decimals[c] : 2), q: own && link !== "lost" ? qualities[quality[c]] : ""};
}
// A learned limit has more digits than its channel; one that people set is shown as they set it.
const limit = (a, p) => grouped(a) || a.limit === null ? "" : String(+a.limit.toFixed(a.level === "warning" && p.c >= 0 ? columns.decimals[p.c] : 6));
const spoken = (q) => /\d|^(co|no|hf|hcn|hcl|lel|voc)$/.test(q) ? q.toUpperCase() : q[0].toUpperCase() + q.slice(1);
function title(c) { return (lang === "zh" && columns.label_zh[c]) || columns.label[c]; }
// What of an alarm stands in columns of figures: of a group it would be a number that says nothing, or reads like a value.
const grouped = (a) => !a.channel && !a.alarm.startsWith("system/");
function about(a) {
  const c = index.has(a.channel) ? index.get(a.channel) : -1;
  const own = a.alarm.startsWith("system/"), name = c >= 0 ? title(c) : a.channel;
  const told = !own && a.level !== "normal" && (a.level === "warning" || grouped(a));
  return {told, what: own ? a.alarm.slice(7) : `${a.quantity ? spoken(a.quantity) : a.alarm} ${T[lang][a.level] || ""}`, where: a.area || a.instrument,
    sub: told ? [name, reason(a)].filter(Boolean).join(" · ") : name || why(a)};
}
function stateWords(a) {
  const more = a.state === "acked" && a.acked_by ? t("by", a.acked_by) : ASIDE.includes(a.state) && a.until ? t("until", clock(a.until)) : "";
  return [T[lang][a.state] || a.state, more];
}
// A warning stands below whatever has reached a limit or failed, acknowledged or not; above only what was put aside.
const rank = (a) => (ASIDE.includes(a.state) ? 4 : (a.level === "warning" ? 2 : 0) + (unacked(a) ? 0 : 1)) * 1e15 + a.priority * 1e14 - Date.parse(a.raised_at || a.time);

function sortAlarms() {
  const frozen = pointer && performance.now() - pointer < 8000;
  const old = frozen ? order.filter((id) => alarms.has(id)) : [], known = new Set(old);
  const rest = [...alarms.values()].filter((a) => !known.has(a.alarm)).sort((a, b) => rank(a) - rank(b)).map((a) => a.alarm);
  fresh = frozen ? rest.length ? Math.max(fresh, rest.length) : fresh : 0;
  order = old.concat(rest);
  if (!alarms.has(selected)) selected = order[0] || "";
}

const rows = new Map();
// A click that was aimed before something moved under it is no order. Keys (detail 0) name what is selected.
const aimed = (e) => e.detail === 0 || performance.now() - moved > 500;
function alarmRow(id) {
  if (rows.has(id)) return rows.get(id);
  const tr = make("tr"), cell = (cls) => tr.appendChild(make("td", cls));
  const r = {tr, level: cell(""), since: cell("since"), where: cell("where"), what: cell("what"), value: cell("n value"), limit: cell("n limit"), state: cell("state"), act: cell("act"), key: ""};
  r.ack = make("button", "main"); r.reset = make("button", "main");
  r.ack.onclick = (e) => aimed(e) && order_(id, "acknowledge"); r.reset.onclick = (e) => aimed(e) && order_(id, "reset");
  tr.onclick = () => { selected = id; draw(); };
  rows.set(id, r);
  return r;
}
function fill(r, a) {
  const p = place(a), said = refusals.get(a.alarm), off = link === "lost" || role === "viewer" || busy.has(a.alarm);
  const seconds = a.raised_at ? Math.max(0, Math.round((Date.now() + skew - Date.parse(a.raised_at)) / 1000)) : -1;
  const key = JSON.stringify([lang, a.seq, a.state, p.text, p.q, said, off, link, columns !== null]);
  r.tr.className = `p${a.priority}r${unacked(a) ? " un" : ""}${/latched|returned/.test(a.state) ? " held" : ""}${ASIDE.includes(a.state) ? " aside" : ""}${a.level === "warning" ? " calm" : ""}${about(a).told ? " told" : ""}${selected === a.alarm ? " sel" : ""}`;
  r.tr.setAttribute("aria-selected", selected === a.alarm);
  if (r.age) put(r.age, span(seconds));
  if (r.key === key) return;
  r.key = key;
  const s = about(a), [state, more] = stateWords(a);
  const what = make("span", "", make("b", "", s.what)), chips = [a.first && "first", a.test && "test", a.delayed && "delay"].filter(Boolean);
  for (const chip of chips) what.append(make("span", "chip", t(chip)));
  if (a.occurrence > 1) what.append(make("span", "chip", `×${a.occurrence}`));
  r.level.replaceChildren(shape(a.priority, a.level));
  r.age = make("small", "", span(seconds));
  r.since.replaceChildren(clock(a.raised_at || a.time), r.age);
  r.where.textContent = s.where; r.where.title = s.where;
  r.what.replaceChildren(what, make("small", "", s.sub)); r.what.title = why(a);
  r.value.replaceChildren(...(a.channel || (a.value !== null && !grouped(a)) ? [make("b", "", p.text), " ", make("small", "", p.q && p.q !== "good" ? word(p.q) : p.unit)] : []));
  r.limit.textContent = limit(a, p); r.limit.dataset.h = t("limit");
  r.state.replaceChildren(state, ...(more ? [make("small", "", more)] : []), ...(said ? [make("small", "refused", t("refused", said))] : []));
  const buttons = unacked(a) ? [r.ack] : a.state === "latched_acked" ? [r.reset] : [];
  put(r.ack, t("ack")); put(r.reset, t("reset")); r.ack.disabled = r.reset.disabled = off;
  if (r.act.children.length !== buttons.length || buttons.some((b, i) => r.act.children[i] !== b)) r.act.replaceChildren(...buttons);
}
function drawAlarms() {
  sortAlarms();
  const shown = order.slice(0, SHOWN), body = $("rows");
  for (const id of rows.keys()) if (!alarms.has(id)) { rows.get(id).tr.remove(); rows.delete(id); }
  shown.forEach((id, i) => { const r = alarmRow(id); fill(r, alarms.get(id)); if (body.children[i] !== r.tr) { if (body.children[i]) moved = performance.now(); body.insertBefore(r.tr, body.children[i] || null); } });
  while (body.children.length > shown.length) body.lastChild.remove();
  put($("more"), [order.length > SHOWN && t("rest", order.length - SHOWN), fresh && t("news", fresh)].filter(Boolean).join(" · "));
  drawEmpty(); drawBanner(); drawDetail(); drawCounts();
}
function drawEmpty() {
  const live = link !== "lost", e = $("empty"), good = quality.filter((q) => q < 128).length, bad = quality.length - good;
  e.hidden = alarms.size > 0;
  if (e.hidden) return;
  const text = live ? [`${t("none")} · ${t("online", good)}`, [bad && t("notOnline", bad), t("updated", clock(lastTime))].filter(Boolean).join(" · ")] : [t("waiting"), ""];
  if (e.dataset.k === text.join()) return;
  e.dataset.k = text.join();
  const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), path = svg.appendChild(document.createElementNS(ns, "path"));
  svg.setAttribute("viewBox", "0 0 24 24"); path.setAttribute("d", live ? "M12 1a11 11 0 1 0 .01 0zM7 12.5l3.5 3.5L17 9" : "M12 1a11 11 0 1 0 .01 0zM12 6v6l4 3");
  e.replaceChildren(svg, make("span", "", text[0]), make("small", "", text[1]));
}
function drawBanner() {
  const list = [...alarms.values()].filter((a) => unacked(a) && a.priority <= 2 && a.level !== "warning").sort((a, b) => rank(a) - rank(b)), a = list[0], e = $("banner");
  e.hidden = !a;
  if (!a) return;
  const p = place(a), s = about(a), key = [lang, a.alarm, a.seq, p.text, list.length, link, role, busy.has(a.alarm)].join();
  if (e.dataset.k === key) return;
  if (e.dataset.id !== a.alarm) moved = performance.now();
  e.dataset.k = key; e.dataset.id = a.alarm; e.className = `p${a.priority}`;
  const b = make("button", "", t("ack")); b.disabled = link === "lost" || role === "viewer" || busy.has(a.alarm); b.onclick = (e) => aimed(e) && order_(a.alarm, "acknowledge");
  const figures = grouped(a) || (!a.channel && a.value === null) ? "" : ` · ${p.text} ${p.unit}${limit(a, p) && ` (${t("limit")} ${limit(a, p)})`}`;
  e.replaceChildren(shape(a.priority, a.level), make("div", "", make("b", "", s.what), ` ${s.where}${figures} · ${clock(a.raised_at || a.time)}${list.length > 1 ? `  +${list.length - 1}` : ""}`, make("p", "", a.response || why(a))), b);
}
function drawDetail() {
  const a = alarms.get(selected), e = $("detail");
  e.hidden = !a;
  if (!a) return;
  const key = [lang, a.alarm, a.seq].join();
  if (e.dataset.k === key) return;
  e.dataset.k = key;
  e.replaceChildren(...(a.response ? [make("b", "", a.response)] : []), make("small", "", [why(a), a.who && t("by", a.who), a.alarm].filter(Boolean).join(" · ")));
}
function drawCounts() {
  const all = [0, 0, 0, 0], open = [0, 0, 0, 0];
  for (const a of alarms.values()) if (a.priority) { all[a.priority - 1]++; if (unacked(a)) open[a.priority - 1]++; }
  const e = $("counts"), key = [lang, all, open, link === "lost"].join(), sum = open.reduce((x, y) => x + y, 0);
  document.title = `${link === "lost" ? "⚠ " : ""}${sum ? `(${sum}) ` : ""}${site || "Hazgate"}`;
  if (e.dataset.k === key) return;
  e.dataset.k = key;
  e.replaceChildren(...all.map((n, i) => make("span", n ? "count on" : "count", shape(i + 1), make("b", "", link === "lost" ? "—" : String(open[i])), make("small", "", link === "lost" ? "" : `/${n}`))));
}

// Channels: only the rows in sight exist.
const pool = [];
function choose() {
  if (!columns) return;
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  view = columns.id.map((_, c) => c);
  if (words.length) view = view.filter((c) => { const text = [columns.id[c], columns.label[c], columns.label_zh[c], columns.area[c], columns.quantity[c], qualities[quality[c]]].join(" ").toLowerCase(); return words.every((w) => text.includes(w)); });
  $("space").style.height = `${view.length * ROW}px`;
  put($("shown"), view.length === columns.id.length ? String(view.length) : `${view.length}/${columns.id.length}`);
}
function drawChannels() {
  if (!columns) return;
  const box = $("list"), from = Math.max(0, (box.scrollTop / ROW | 0) - 2), need = Math.min(view.length - from, Math.ceil(box.clientHeight / ROW) + 4), worst = new Map();
  for (const a of alarms.values()) if (index.has(a.channel) && !ASIDE.includes(a.state)) { const c = index.get(a.channel), b = worst.get(c); if (!b || rank(a) < rank(b)) worst.set(c, a); }
  while (pool.length < need) { const r = {e: make("div"), mark: make("div"), name: make("span"), sub: make("small"), number: make("b"), unit: make("small"), q: make("small", "q")}; r.number_ = make("span", "", r.number, " ", r.unit); r.unit.style.display = "inline"; r.e.append(r.mark, make("div", "", r.name, r.sub), make("div", "n", r.number_, r.q)); $("space").append(r.e); pool.push(r); }
  pool.forEach((r, i) => {
    r.e.hidden = i >= need;
    if (r.e.hidden) return;
    const c = view[from + i], code = quality[c], bad = link === "lost" || code === undefined || code >= 128, v = value[c], a = worst.get(c), mark = a ? `${a.priority}${a.level}${lang}` : "";
    r.e.className = `row${bad ? " bad" : code ? " un" : ""}`; r.e.style.transform = `translateY(${(from + i) * ROW}px)`;
    put(r.name, title(c)); put(r.sub, [columns.id[c], columns.area[c]].filter(Boolean).join(" · "));
    put(r.number, bad || v === null || v === undefined ? GONE : v.toFixed(columns.decimals[c])); put(r.unit, columns.unit[c]);
    put(r.q, link === "lost" ? t("lost") : code ? word(qualities[code] || String(code)) : "");
    if (r.mark.dataset.k !== mark) { r.mark.dataset.k = mark; r.mark.replaceChildren(...(a ? [shape(a.priority, a.level)] : [])); }
  });
}
function draw() { if (!dirty) { dirty = true; requestAnimationFrame(drawNow); setTimeout(drawNow, 200); } }
function drawNow() { if (dirty) { dirty = false; drawAlarms(); drawChannels(); drawLink(); } }
function drawLink() {
  document.body.classList.toggle("lost", link === "lost"); document.body.classList.toggle("stale", link === "stale");
  const bar = $("bar"); bar.hidden = link === "live" && Math.abs(skew) < 5000;
  put(bar, link === "stale" ? t("staleBar", Math.round(silence() / 1000)) : link === "lost" ? t("lostBar", lastTime ? clock(lastTime) : t("never")) : t("skew", Math.round(skew / 1000)));
  put($("linkword"), t(link)); put($("clock"), link === "lost" ? "--:--:--" : clock(lastTime)); put($("site"), site || "Hazgate");
  $("silence").disabled = link === "lost" || role === "viewer";
  put($("who"), token ? t("signout") : role === "viewer" || !role ? t("signin") : role); put($("lang"), lang === "zh" ? "EN" : "中文");
  const s = soundState(); put($("sound").lastChild, t(s)); $("sound").className = s; $("sound").setAttribute("aria-label", t(s));
}
function words() { document.documentElement.lang = lang; for (const e of document.querySelectorAll("[data-t]")) put(e, t(e.dataset.t)); $("filter").placeholder = t("filter"); draw(); }

// The link

const silence = () => Math.max(performance.now() - frameAt, Date.now() - frameDate);
const headers = (more) => ({...more, ...(token ? {Authorization: `Bearer ${token}`} : {})});
function frame(time) { frameAt = performance.now(); frameDate = Date.now(); lastTime = time; skew = Date.parse(time) - Date.now(); link = "live"; }
function take(values, whole) {
  if (whole) { value = []; quality = []; }
  values.rows.forEach((row, i) => { value[row] = values.value[i]; quality[row] = values.quality[i]; });
}
function onSnapshot(d) {
  ({role, epoch, qualities, table: seen} = d); site = d.name || d.site;
  if (columns && known !== seen) { forget(); loadChannels(); }
  alarms = new Map(d.alarms.map((a) => [a.alarm, a])); refusals.clear(); busy.clear(); mismatch = 0; pointer = 0; wait = 1000;
  take(d.values, true); frame(d.time);
}
function forget() { columns = null; index = new Map(); view = []; value = []; quality = []; }
function onTable() { forget(); again = true; }
function onAlarm(a) {
  if (a.kind === "silenced") for (const other of alarms.values()) if (!a.alarm || other.alarm === a.alarm) other.silenced = true;
  if (!a.alarm) return;
  const old = alarms.get(a.alarm);
  if (old && old.seq >= a.seq) return;
  refusals.delete(a.alarm); busy.delete(a.alarm);
  if (a.state === "normal") { alarms.delete(a.alarm); return; }
  a.silenced = old && old.sounded === a.sounded ? old.silenced : false;
  a.frame = frames;
  alarms.set(a.alarm, a);
}
function onValues(d) {
  frames++; take(d.values, false); frame(d.time);
  if (!d.audible) for (const a of alarms.values()) a.silenced = true;
  // The gateway counts its alarms in every frame: a list that differs twice is wrong and is fetched anew.
  mismatch = d.alarms === alarms.size ? 0 : mismatch + 1;
  if (mismatch > 2) stopper.abort();
}
function onMessage(text) {
  let kind = "message", data = "";
  for (const line of text.split("\n")) { if (line.startsWith("event: ")) kind = line.slice(7); else if (line.startsWith("data: ")) data += line.slice(6); }
  const use = {snapshot: onSnapshot, alarm: onAlarm, values: onValues, table: onTable}[kind];
  if (use) { use(JSON.parse(data)); if (kind === "snapshot") choose(); draw(); }
}
async function follow() {
  stopper = new AbortController(); seen = 0;
  const answer = await fetch("api/v1/stream", {headers: headers(), signal: stopper.signal, cache: "no-store"});
  if (answer.status === 401) { const had = token; token = null; store(sessionStorage, "token", null); ask(had ? t("badToken") : t("needToken")); if (had) wait = 100; }
  if (!answer.ok) throw new Error(answer.status);
  loadChannels();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const {done, value: part} = await reader.read();
    if (done) return;
    const pieces = (rest + part).split("\n\n");
    rest = pieces.pop();
    pieces.forEach(onMessage);
  }
}
async function loadChannels() {
  try {
    const answer = await fetch("api/v1/channels?form=columns", {headers: headers()});
    if (!answer.ok) throw new Error(answer.status);
    const list = await answer.json();
    // Rows of one table never meet names of another: a list from before a change is fetched again.
    if (seen && list.table !== seen) { setTimeout(loadChannels, 200); return; }
    ({columns, table: known} = list); index = new Map(columns.id.map((id, c) => [id, c]));
    choose(); draw();
  } catch { stopper.abort(); }
}
async function connect() {
  for (;;) {
    try { await follow(); } catch { /* lost, whatever the reason: said on the page, tried again below */ }
    if (again) { again = false; continue; }
    link = "lost"; draw();
    await new Promise((go) => { setTimeout(go, wait); wake = go; });
    wait = Math.min(wait * 2, 5000);
  }
}
let wake = () => {};
setInterval(() => {
  const ms = silence();
  if (link !== "lost" && ms > 10000) { link = "lost"; stopper.abort(); } else if (link === "live" && ms > 3500) link = "stale";
  draw();
}, 500);

// Orders

async function order_(id, verb) {
  if (link === "lost" || role === "viewer") return;
  const path = id ? `alarms/${id.split("/").map(encodeURIComponent).join("/")}/${verb}` : verb;
  if (id) { busy.add(id); refusals.delete(id); }
  draw();
  let said = "";
  try {
    const answer = await fetch(`api/v1/${path}`, {method: "POST", headers: headers({"Content-Type": "application/json"}), body: "{}", signal: AbortSignal.timeout(10000)});
    if (!answer.ok) { said = (await answer.json()).detail; if (answer.status === 401) ask(said); }
  } catch (error) { said = String(error.message || error); }
  busy.delete(id);
  if (said && id) refusals.set(id, said);
  if (!said && id === selected && verb === "acknowledge") selected = order.find((other) => other !== id && unacked(alarms.get(other) || {})) || id;
  draw();
}
function ask(why) { put($("whyin"), why); if (!$("signin").open) { $("token").value = ""; $("signin").showModal(); } }
$("signin").onclose = () => { token = $("token").value.trim() || token; $("token").value = ""; if (token) store(sessionStorage, "token", token); wait = 1000; wake(); if (stopper && link !== "lost") stopper.abort(); };
$("cancel").onclick = () => { $("token").value = ""; $("signin").close(); };
$("who").onclick = () => { if (!token) return ask(t("needToken")); token = null; role = ""; store(sessionStorage, "token", null); alarms.clear(); value = []; quality = []; columns = null; location.reload(); };

// Sound: by level, until acknowledged or silenced. The tone of this page is the second one; the first belongs to the site.
const PATTERN = {1: [1500, [960, 770, 960, 770]], 2: [3000, [770, 770]], 3: [10000, [620]], lost: [4000, [220]]};
let audio = null, on = store(localStorage, "sound") !== "off", sounded = 0;
const soundState = () => !on ? "soundOff" : audio && audio.state === "running" ? "soundOn" : "soundBlocked";
function allow() { if (!on) return; audio = audio || new AudioContext(); if (audio.state !== "running") audio.resume().then(draw); }
function loudest() {
  if (link === "lost") return lastTime ? "lost" : 0;
  return [...alarms.values()].filter((a) => unacked(a) && a.sounded && !a.silenced && PATTERN[a.priority]).reduce((p, a) => Math.min(p, a.priority), 9);
}
setInterval(() => {
  const pattern = PATTERN[loudest()];
  if (!pattern || soundState() !== "soundOn" || performance.now() - sounded < pattern[0]) return;
  sounded = performance.now();
  pattern[1].forEach((hertz, i) => {
    const tone = audio.createOscillator(), gain = audio.createGain(), at = audio.currentTime + i * 0.3;
    tone.frequency.value = hertz; gain.gain.setValueAtTime(0.35, at); gain.gain.setTargetAtTime(0, at + 0.25, 0.01);
    tone.connect(gain).connect(audio.destination); tone.start(at); tone.stop(at + 0.3);
  });
}, 250);
$("sound").onclick = (e) => { const was = soundState(); e.stopPropagation(); on = was !== "soundOn"; store(localStorage, "sound", on ? "on" : "off"); allow(); if (!on && audio) audio.suspend().then(draw); draw(); };
$("silence").onclick = () => order_("", "silence");
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, allow);

// Keys and pointer

function move(by) { const at = order.indexOf(selected), next = order[Math.max(0, Math.min(order.length - 1, at + by))]; if (next) { selected = next; draw(); const r = rows.get(next); if (r) r.tr.scrollIntoView({block: "nearest"}); } }
addEventListener("keydown", (e) => {
  if (e.target.tagName === "INPUT") { if (e.key === "Escape") e.target.blur(); return; }
  if (e.ctrlKey || e.metaKey || e.altKey || $("signin").open) return;
  const a = alarms.get(selected), key = e.key.toLowerCase();
  if (key === "j" || key === "arrowdown") move(1);
  else if (key === "k" || key === "arrowup") move(-1);
  else if (key === "a" && a && unacked(a)) order_(selected, "acknowledge");
  else if (key === "r" && a && a.state.startsWith("latched")) order_(selected, "reset");
  else if (key === "m") order_("", "silence");
  else if (key === "/") $("filter").focus();
  else return;
  e.preventDefault();
});
// While the mouse is over the list nothing moves, so that a click never hits a row that was not meant.
$("rows").onpointermove = (e) => { if (e.pointerType === "mouse") pointer = performance.now(); };
$("rows").onpointerleave = () => { pointer = 0; draw(); };
$("list").onscroll = drawChannels; addEventListener("resize", draw);
$("filter").oninput = () => { choose(); draw(); };
$("lang").onclick = () => { lang = lang === "zh" ? "en" : "zh"; store(localStorage, "lang", lang); for (const e of document.querySelectorAll("[data-k]")) delete e.dataset.k; words(); };
for (const b of document.querySelectorAll("nav button")) b.onclick = () => { document.body.dataset.tab = b.dataset.tab; draw(); };
words(); allow(); connect();
