// All measured values in one table: what is abnormal stands out, everything else is grey.
import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { href } from "../../app/route";
import { isAside, isUnacked, link, quality, table, tick, value } from "../../live/state";
import type { Alarm, Channels as Columns } from "../../live/types";
import { either, lang, texts } from "../../text";
import { Bar } from "../../parts/bar";
import { FilterChip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { coarse, phone } from "../../parts/media";
import { wantLimits } from "../../parts/setpoints";
import { isBad } from "../../parts/trend/data";
import { Virtual } from "../../parts/virtual";
import { areaName, GONE, quantityWord, qualityWord, stateWord, valueText } from "../../parts/words";
import { worstOfArea, worstOfChannel } from "../../parts/worst";
import { Age } from "../../parts/time";
import "./channels.css";

const words = texts({
  en: {
    title: "Channels", plan: "Plan", find: "Filter: name, area, quantity, quality", all: "All areas", count: (n: number, of: number) => (n === of ? `${of} channels` : `${n} of ${of} channels`),
    alarm: "In alarm", bad: "Without value", group: "By area", none: "No channel matches.", clear: "Clear the filter", loading: "Fetching the channels…", empty: "No channels yet.",
    start: "Find the instruments under Commissioning, or write them into the site file.", commission: "Commissioning", noArea: "No area",
    level: "Alarm", name: "Channel", area: "Area", quantity: "Quantity", range: "Within its range", value: "Value", quality: "Quality",
  },
  zh: {
    title: "测点", plan: "平面图", find: "筛选：名称、区域、介质、质量", all: "全部区域", count: (n: number, of: number) => (n === of ? `共 ${of} 个测点` : `${n} / ${of} 个测点`),
    alarm: "报警中", bad: "无数值", group: "按区域", none: "没有符合条件的测点。", clear: "清除筛选", loading: "正在读取测点…", empty: "尚无测点。",
    start: "请在“调试”中查找仪表，或写入站点文件。", commission: "调试", noArea: "未分区",
    level: "报警", name: "测点", area: "区域", quantity: "介质", range: "量程内位置", value: "数值", quality: "质量",
  },
});

type Order = "file" | "level" | "name" | "area" | "range";
// Kept while the console is open: who comes back from a point finds the list as it was left.
const find = signal("");
const area = signal("");
const only = signal<"" | "alarm" | "bad">("");
const grouped = signal(false);
const order = signal<{ by: Order; down: boolean }>({ by: "file", down: false });

/** A line of the table: a channel's row, or an area's name where the rows are grouped. */
type Line = { row: number } | { area: string; count: number; open: number };

/** Page `channels`: every measured value. */
export default function ChannelsPage({ query }: { rest: string; query: URLSearchParams }) {
  const t = words();
  const columns = table.value?.columns;
  useEffect(wantLimits, []);
  useEffect(() => { if (query.has("area")) area.value = query.get("area")!; if (query.has("find")) find.value = query.get("find")!; }, [query.toString()]);
  const texts_ = useMemo(() => (columns ? searched(columns) : []), [columns, lang.value]);
  // What depends on values is looked at again each second, everything else only when it changes.
  const moment = only.value === "bad" || order.value.by === "range" ? tick.value : 0;
  const alarms = worstOfChannel.value;
  const lines = useMemo(() => (columns ? listed(columns, texts_, alarms) : []), [columns, texts_, alarms, moment, find.value, area.value, only.value, grouped.value, order.value]);
  if (!columns) return <section class="channels"><h1 class="hidden-text">{t.title}</h1><div class="empty">{t.loading}</div></section>;
  const total = columns.id.length;
  if (!total) return <section class="channels"><h1 class="hidden-text">{t.title}</h1><div class="empty"><strong>{t.empty}</strong>{t.start}<a class="button" href={href("commissioning")}>{t.commission}</a></div></section>;
  const shown = lines.reduce((n, line) => n + ("row" in line ? 1 : 0), 0);
  const height = phone.value ? 76 : coarse.value ? 48 : 36;
  const narrowed = find.value !== "" || area.value !== "" || only.value !== "";
  return (
    <section class="channels">
      <h1 class="hidden-text">{t.title}</h1>
      <div class="channels-bar">
        <label class="channels-find"><Icon name="search" size={16} /><input data-filter type="search" value={find.value} placeholder={`${t.find}  /`} aria-label={t.find} autocomplete="off" spellcheck={false}
          onInput={(e) => { find.value = e.currentTarget.value; }} onKeyDown={(e) => { if (e.key === "Escape") { find.value = ""; e.currentTarget.blur(); } }} /></label>
        <select value={area.value} aria-label={t.area} onChange={(e) => { area.value = e.currentTarget.value; }}>
          <option value="">{t.all}</option>
          {[...new Set(columns.area)].map((id) => <option key={id} value={id || " "}>{areaName(id) || t.noArea}</option>)}
        </select>
        <FilterChip on={only.value === "alarm"} count={[...alarms.values()].filter((one) => !isAside(one)).length} onPress={() => { only.value = only.value === "alarm" ? "" : "alarm"; }}>{t.alarm}</FilterChip>
        <BadChip total={total} />
        <FilterChip on={grouped.value} onPress={() => { grouped.value = !grouped.value; }}>{t.group}</FilterChip>
        <a class="button quiet channels-plan" href={href("plan")}><Icon name="map" size={16} />{t.plan}</a>
        <span class="channels-count" role="status">{t.count(shown, total)}</span>
      </div>
      <div class="pane channels-pane">
        <Heads />
        {lines.length
          ? <Virtual count={lines.length} height={height} label={t.title} row={(k) => <LineOf key={keyOf(lines[k]!)} line={lines[k]!} height={height} />} />
          : <div class="empty">{t.none}{narrowed && <button type="button" onClick={() => { find.value = ""; area.value = ""; only.value = ""; }}>{t.clear}</button>}</div>}
      </div>
    </section>
  );
}

const keyOf = (line: Line): string => ("row" in line ? String(line.row) : `area ${line.area}`);

/** Counts by itself once a second, so that the page around it need not. */
function BadChip({ total }: { total: number }) {
  tick.value;
  let count = 0;
  for (let row = 0; row < total; row++) if (isBad(quality[row] ?? "bad")) count++;
  return <FilterChip on={only.value === "bad"} count={count} onPress={() => { only.value = only.value === "bad" ? "" : "bad"; }}>{words().bad}</FilterChip>;
}

/** Each channel as one line of lower-case text that the filter looks into. */
function searched(columns: Columns): string[] {
  return columns.id.map((id, row) => [
    id, columns.label[row], columns.label_zh[row], columns.area[row], areaName(columns.area[row]!), columns.quantity[row], quantityWord(columns.quantity[row]!), columns.location[row], columns.unit[row],
  ].join(" ").toLowerCase());
}

function listed(columns: Columns, text: string[], alarms: Map<string, Alarm>): Line[] {
  const sought = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows: number[] = [];
  for (let row = 0; row < text.length; row++) {
    if (area.value && columns.area[row] !== area.value.trim()) continue;
    if (only.value === "alarm") { const alarm = alarms.get(columns.id[row]!); if (!alarm || isAside(alarm)) continue; }
    if (only.value === "bad" && !isBad(quality[row] ?? "bad")) continue;
    if (sought.length && !sought.every((word) => text[row]!.includes(word) || fits(row, word))) continue;
    rows.push(row);
  }
  const sorted = arranged(rows, columns, alarms);
  return grouped.value ? byArea(sorted, columns, alarms) : sorted.map((row) => ({ row }));
}

/** A word of the filter may be a quality: `bad`, `over`, `标定`. */
function fits(row: number, word: string): boolean {
  const name = quality[row] ?? "bad";
  return name !== "good" && (name.includes(word) || qualityWord(name).toLowerCase().includes(word) || (word === "bad" && isBad(name)));
}

function arranged(rows: number[], columns: Columns, alarms: Map<string, Alarm>): number[] {
  const { by, down } = order.value;
  if (by === "file") return rows;
  const rank = (row: number): number => { const alarm = alarms.get(columns.id[row]!); return !alarm ? 99 : alarm.priority + (isAside(alarm) ? 20 : isUnacked(alarm) ? 0 : 10); };
  const share = (row: number): number => {
    const low = columns.range_low[row] ?? 0, high = columns.range_high[row] ?? NaN;
    const found = ((value[row] ?? NaN) - low) / (high - low);
    return Number.isFinite(found) ? -found : 1;
  };
  const text = by === "area" ? columns.area.map(areaName) : columns.label.map((label, row) => either(label, columns.label_zh[row]));
  const compare = by === "level" ? (a: number, b: number) => rank(a) - rank(b)
    : by === "range" ? (a: number, b: number) => share(a) - share(b)
    : (a: number, b: number) => text[a]!.localeCompare(text[b]!, lang.value === "zh" ? "zh" : "en", { numeric: true });
  return [...rows].sort((a, b) => (down ? -1 : 1) * compare(a, b) || a - b);
}

function byArea(rows: number[], columns: Columns, alarms: Map<string, Alarm>): Line[] {
  const groups = new Map<string, number[]>();
  for (const row of rows) {
    const name = columns.area[row]!;
    const group = groups.get(name);
    if (group) group.push(row);
    else groups.set(name, [row]);
  }
  return [...groups].flatMap(([name, own]) => [
    { area: name, count: own.length, open: own.filter((row) => { const alarm = alarms.get(columns.id[row]!); return alarm && !isAside(alarm); }).length },
    ...own.map((row) => ({ row })),
  ]);
}

function Heads() {
  const t = words();
  const head = (by: Order, label: string, name = "") => (
    <button type="button" class={`quiet ${name}`} aria-pressed={order.value.by === by}
      onClick={() => { const { by: now, down } = order.value; order.value = now !== by ? { by, down: false } : down ? { by: "file", down: false } : { by, down: true }; }}>
      {label}{order.value.by === by && <Icon name={order.value.down ? "up" : "down"} size={14} />}
    </button>
  );
  return (
    <div class="channels-row channels-heads">
      <button type="button" class="quiet" aria-label={t.level} aria-pressed={order.value.by === "level"} onClick={() => { order.value = order.value.by === "level" ? { by: "file", down: false } : { by: "level", down: false }; }}><Icon name="alert" size={14} /></button>
      {head("name", t.name)}{head("area", t.area)}<span class="channels-quantity">{t.quantity}</span>{head("range", t.range)}<span class="number">{t.value}</span><span>{t.quality}</span>
    </div>
  );
}

function LineOf({ line, height }: { line: Line; height: number }) {
  if ("row" in line) return <Row row={line.row} height={height} />;
  const worst = worstOfArea.value.get(line.area);
  return (
    <div class="channels-area" style={{ height: `${height}px` }} role="listitem">
      {worst && !isAside(worst) ? <Mark priority={worst.priority} level={worst.level} size={18} /> : null}
      {areaName(line.area) || words().noArea}<span>{line.open > 0 && `${line.open} / `}{line.count}</span>
    </div>
  );
}

function Row({ row, height }: { row: number; height: number }) {
  tick.value;
  const { id, label, label_zh, area: areas, quantity, unit } = table.value!.columns;
  const alarm = worstOfChannel.value.get(id[row]!);
  const open = alarm && !isAside(alarm) ? alarm : undefined;
  const named = quality[row] ?? "bad";
  const gone = link.value === "lost" || isBad(named);
  const text = gone ? GONE : valueText(row);
  const name = either(label[row]!, label_zh[row]);
  return (
    <div role="listitem">
      <a class={`channels-row${open ? " alarmed" : ""}${open && !isUnacked(open) ? " acked" : ""}`} style={{ height: `${height}px` }} href={href("point", id[row]!)}>
        <span class="channels-mark">{alarm && <Mark priority={alarm.priority} level={alarm.level} hollow={isAside(alarm) || alarm.condition === "normal"} flash={isUnacked(alarm)} />}</span>
        <span class="channels-name"><span class="clip">{name}</span>{name !== id[row] && <small class="clip">{id[row]}</small>}</span>
        <span class="channels-where clip">{areaName(areas[row]!)}</span>
        <span class="channels-quantity clip">{quantityWord(quantity[row]!)}</span>
        <Bar row={row} priority={open && open.condition !== "fault" && open.condition !== "normal" ? open.priority : 0} />
        <span class="channels-value"><span class={text === GONE ? "gone" : ""}>{text}</span><small>{unit[row]}</small></span>
        <span class="channels-quality clip">{link.value === "lost" ? "" : quietly(named, alarm)}</span>
      </a>
    </div>
  );
}

/** The quality in words and since when; nothing is said of what is as it should be. */
function quietly(named: string, alarm: Alarm | undefined) {
  if (named === "good") return alarm && isAside(alarm) ? <span class="dim">{stateWord(alarm.state)}</span> : null;
  return <>{qualityWord(named)}{alarm?.condition === "fault" && alarm.raised_at && <span class="dim"> · <Age since={alarm.raised_at} /></span>}</>;
}
