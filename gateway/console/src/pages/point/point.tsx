// One measured value and all that is known of it: now, its past, its limits, its alarms, where it comes from.
import { useEffect, useMemo, useState } from "preact/hooks";
import { part } from "../../api";
import { href } from "../../app/route";
import { alarms, isAside, link, onEvent, quality, table, tick } from "../../live/state";
import type { Alarm, Channels } from "../../live/types";
import { Bar } from "../../parts/bar";
import { useAsk } from "../../parts/ask";
import { Mark } from "../../parts/mark";
import { phone } from "../../parts/media";
import { limits, wantLimits } from "../../parts/setpoints";
import { Age, hours } from "../../parts/time";
import { Trend } from "../../parts/trend";
import { type Detail, isBad, type Rule } from "../../parts/trend/data";
import { areaName, channelName, GONE, levelWord, quantityWord, qualityWord, rowOf, stateWord, valueText } from "../../parts/words";
import { worstOfArea, worstOfChannel } from "../../parts/worst";
import { either, texts } from "../../text";
import { AlarmCard } from "./alarm_card";
import { History } from "./history";
import "./point.css";

export const words = texts({
  en: {
    channels: "Channels", noSuch: (id: string) => `There is no channel ${id}.`, gone: "It may have been renamed, or taken out of the site file.", back: "All channels", loading: "Fetching…",
    trend: "Trend", m10: "10 min", h1: "1 h", h8: "8 h", d7: "7 d", rules: "Rules and limits", none: "No rule judges this channel.", out: "out of service: the rule failed", learning: "still learning",
    learned: (percent: string) => `unusual as ${percent} % of its past`, source: "Source", instrument: "Instrument", connection: "Connection", driver: "Driver", location: "Location", range: "Range",
    online: "online", offline: "offline", last: "Last reading", read: (n: string, bad: string) => `${n} readings since the start, ${bad} without value`, reason: "Reason", near: "Also in this area", more: "Instrument, calibration and checklist",
    normal: "Normal", since: "since", no: "unknown",
  },
  zh: {
    channels: "测点", noSuch: (id: string) => `没有测点 ${id}。`, gone: "可能已改名，或已从站点文件中移除。", back: "全部测点", loading: "正在读取…",
    trend: "趋势", m10: "10 分钟", h1: "1 小时", h8: "8 小时", d7: "7 天", rules: "规则与限值", none: "没有规则评判此测点。", out: "已停用：规则出错", learning: "仍在学习",
    learned: (percent: string) => `异常程度高于历史的 ${percent} %`, source: "来源", instrument: "仪表", connection: "连接", driver: "驱动", location: "安装位置", range: "量程",
    online: "在线", offline: "离线", last: "最近读数", read: (n: string, bad: string) => `启动以来 ${n} 个读数，${bad} 个无数值`, reason: "原因", near: "同区域测点", more: "仪表、标定与检查表",
    normal: "正常", since: "自", no: "未知",
  },
});
const SPANS = [["m10", 600], ["h1", 3600], ["h8", 8 * 3600], ["d7", 7 * 86_400]] as const;

/** Page `point/<channel>`. */
export default function PointPage({ rest, query }: { rest: string; query: URLSearchParams }) {
  return <Point key={rest} channel={rest} around={query.get("around") ?? ""} />;
}

/** A channel's page; with `focus`, it is about that alarm first. */
export function Point({ channel, around = "", focus = "" }: { channel: string; around?: string; focus?: string }) {
  const t = words();
  useEffect(wantLimits, []);
  const { data, refusal, again } = useAsk<Detail>(`channels/${part(channel)}`, 10_000);
  useEffect(() => onEvent((event) => { if (event.channel === channel) again(); }), [channel, again]);
  if (!table.value) return <div class="empty">{t.loading}</div>;
  if (rowOf(channel) < 0 && refusal?.status === 404) {
    return <section class="page"><div class="empty"><strong>{t.noSuch(channel)}</strong>{t.gone}<a class="button" href={href("channels")}>{t.back}</a></div></section>;
  }
  return (
    <section class="point">
      <Head channel={channel} />
      <div class="point-main">
        <Cards channel={channel} focus={focus} />
        <Now channel={channel} />
        <TrendPane channel={channel} around={around} />
        <History alarms={focus ? [focus] : (data?.rules ?? []).map((rule) => rule.id)} />
      </div>
      <div class="point-side">
        <Rules rules={data?.rules ?? null} unit={data?.unit ?? ""} />
        <Source channel={channel} detail={data} />
        <Near channel={channel} />
      </div>
    </section>
  );
}

function Head({ channel }: { channel: string }) {
  const t = words();
  const row = rowOf(channel);
  const columns = table.value!.columns;
  const area = columns.area[row] ?? "";
  const worst = worstOfChannel.value.get(channel);
  return (
    <div class="point-head">
      <nav><a href={href("channels")}>{t.channels}</a>{area && <>›<a href={href("channels", "", { area })}>{areaName(area)}</a></>}</nav>
      <h1>{worst && <Mark priority={worst.priority} level={worst.level} size={26} hollow={isAside(worst) || worst.condition === "normal"} />}<span class="clip">{channelName(channel)}</span></h1>
      <span class="dim">{quantityWord(columns.quantity[row] ?? "")}</span><span class="dim mono small">{channel}</span>
    </div>
  );
}

/** The alarms of this point that are not normal. */
function Cards({ channel, focus }: { channel: string; focus: string }) {
  const own = alarms.value.filter((alarm) => alarm.channel === channel || alarm.id === focus);
  own.sort((a, b) => Number(b.id === focus) - Number(a.id === focus));
  return <>{own.map((alarm, k) => <AlarmCard key={alarm.id} alarm={alarm} whole={k === 0} />)}</>;
}

function Now({ channel }: { channel: string }) {
  tick.value;
  const t = words();
  const row = rowOf(channel);
  const columns = table.value!.columns;
  if (row < 0) return null;
  const named = quality[row] ?? "bad";
  const gone = link.value === "lost" || isBad(named);
  const worst = worstOfChannel.value.get(channel);
  const open = worst && !isAside(worst) ? worst : undefined;
  const low = columns.range_low[row], high = columns.range_high[row];
  return (
    <section class="pane point-now">
      <div class="point-value"><b class={gone ? "gone" : ""}>{gone ? GONE : valueText(row)}</b><span>{columns.unit[row]}</span></div>
      <div class="point-state"><State worst={worst} named={named} />{named !== "good" && <small>{qualityWord(named)}</small>}</div>
      {low !== null && high !== null && low !== undefined && high !== undefined && (
        <div class="point-range"><Bar row={row} priority={open && open.condition !== "fault" && open.condition !== "normal" ? open.priority : 0} />
          <small><span>{low}</span><Nearest row={row} /><span>{high} {columns.unit[row]}</span></small></div>
      )}
      <span class="hidden-text">{t.normal}</span>
    </section>
  );
}

function State({ worst, named }: { worst: Alarm | undefined; named: string }) {
  const t = words();
  if (link.value === "lost") return <span class="dim">{t.no}</span>;
  if (!worst) return <span>{named === "good" ? t.normal : qualityWord(named)}</span>;
  return <><span>{isAside(worst) || worst.condition === "normal" ? stateWord(worst.state) : levelWord(worst.condition)}</span>{worst.raised_at && <small>{t.since} {hours(worst.raised_at)} · <Age since={worst.raised_at} /></small>}</>;
}

/** The set points in figures: a bar alone says them to nobody who cannot see it. */
function Nearest({ row }: { row: number }) {
  const own = limits.value.get(row) ?? [];
  return <span>{own.map((one) => `${one.side === "above" ? "≥" : "≤"} ${one.value}`).join("   ")}</span>;
}

function TrendPane({ channel, around }: { channel: string; around: string }) {
  const t = words();
  const [span, setSpan] = useState<number>(around ? 0 : 600);
  return (
    <section class="pane">
      <header class="point-trend-head">
        <h2>{t.trend}</h2>
        <div class="point-spans">
          {around && <button type="button" class="quiet" aria-pressed={span === 0} onClick={() => setSpan(0)}>{hours(around, false)} ± 10 min</button>}
          {SPANS.map(([name, s]) => <button key={name} type="button" class="quiet" aria-pressed={span === s} onClick={() => setSpan(s)}>{t[name]}</button>)}
        </div>
      </header>
      <div class="point-trend"><Trend channel={channel} height={phone.value ? 220 : 300} {...(span ? { span } : { around })} /></div>
    </section>
  );
}

function Rules({ rules, unit }: { rules: Rule[] | null; unit: string }) {
  const t = words();
  return (
    <section class="pane">
      <header><h2>{t.rules}</h2></header>
      {rules && !rules.length && <p class="pane-body dim">{t.none}</p>}
      <div class="point-rules">{rules?.map((rule) => <RuleLine key={rule.id} rule={rule} unit={unit} />)}</div>
    </section>
  );
}

function RuleLine({ rule, unit }: { rule: Rule; unit: string }) {
  const t = words();
  const alarm = alarms.value.find((one) => one.id === rule.id);
  const said = !rule.in_service ? t.out : rule.learns && !rule.ready ? t.learning : rule.score !== null ? t.learned((rule.score * 100).toFixed(1)) : "";
  return (
    <div class="point-rule">
      {alarm ? <Mark priority={alarm.priority} level={alarm.level} size={18} hollow={isAside(alarm) || alarm.condition === "normal"} /> : <span />}
      <span class="clip">{rule.id.split(":")[0]} <span class="dim small">{rule.type}</span></span>
      <span class="point-limits">{rule.set_points?.map((one) => <span key={one.level + one.side}>{one.side === "above" ? "≥" : "≤"} {one.value} <span class="dim small">{unit}</span></span>)}</span>
      {said && <small>{said}</small>}
      {rule.score !== null && <div class="point-score" aria-hidden="true"><div style={{ width: `${rule.score * 100}%` }} /></div>}
    </div>
  );
}

interface InstrumentRow { id: string; connection: string; type: string; online: boolean; last: string | null; readings: number; bad: number; reason: string }

function Source({ channel, detail }: { channel: string; detail: Detail | null }) {
  const t = words();
  const columns = table.value!.columns;
  const row = rowOf(channel);
  const instrument = columns.instrument[row] ?? detail?.instrument ?? "";
  const { data } = useAsk<{ instruments: InstrumentRow[] }>("instruments", 15_000);
  const found = data?.instruments.find((one) => one.id === instrument);
  const low = columns.range_low[row], high = columns.range_high[row];
  return (
    <section class="pane">
      <header><h2>{t.source}</h2></header>
      <div class="pane-body stack">
        <dl class="facts">
          <dt>{t.instrument}</dt><dd class="mono">{instrument}</dd>
          {found && <><dt>{t.connection}</dt><dd><span class="mono">{found.connection}</span> · {found.type}</dd></>}
          {columns.location[row] && <><dt>{t.location}</dt><dd>{columns.location[row]}</dd></>}
          {low !== null && low !== undefined && high !== null && <><dt>{t.range}</dt><dd>{low} – {high} {columns.unit[row]}</dd></>}
          {detail?.time && <><dt>{t.last}</dt><dd>{hours(detail.time)}</dd></>}
          {found && !found.online && <><dt>{t.offline}</dt><dd>{found.reason || t.no}</dd></>}
        </dl>
        {found && <p class="dim small">{t.read(found.readings.toLocaleString(), found.bad.toLocaleString())}</p>}
        <a href={href("instrument", instrument)}>{t.more}</a>
      </div>
    </section>
  );
}

const NEAR_MAX = 12;

/** Rows of the same area, those in alarm first, then those that measure the same. */
function neighbours(columns: Channels, row: number, worst: ReadonlyMap<string, Alarm>): number[] {
  const area = columns.area[row], same = columns.quantity[row];
  if (!area) return [];
  const rank = (k: number): number => (worst.get(columns.id[k]!)?.priority ?? 9) * 2 + Number(columns.quantity[k] !== same);
  const rows: number[] = [];
  columns.area.forEach((name, k) => { if (name === area && k !== row) rows.push(k); });
  return rows.map((k) => [rank(k), k] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, NEAR_MAX).map(([, k]) => k);
}

function Live({ row }: { row: number }) {
  tick.value;
  return <span>{isBad(quality[row] ?? "bad") ? <span class="gone">{GONE}</span> : valueText(row)} <span class="dim small">{table.value!.columns.unit[row]}</span></span>;
}

/** Other values of the same area, those in alarm first: does the neighbour see it too? */
function Near({ channel }: { channel: string }) {
  const t = words();
  const columns = table.value!.columns;
  const row = rowOf(channel);
  const area = columns.area[row];
  const worst = worstOfChannel.value;
  const rows = useMemo(() => neighbours(columns, row, worst), [columns, row, worst]);
  if (!area || !rows.length) return null;
  const first = worstOfArea.value.get(area);
  return (
    <section class="pane">
      <header><h2>{t.near}</h2>{first && !isAside(first) && <Mark priority={first.priority} level={first.level} size={18} />}</header>
      <div class="point-near">
        {rows.map((k) => {
          const alarm = worst.get(columns.id[k]!);
          return (
            <a key={k} href={href("point", columns.id[k]!)}>
              {alarm ? <Mark priority={alarm.priority} level={alarm.level} size={18} hollow={isAside(alarm) || alarm.condition === "normal"} /> : <span />}
              <span class="clip">{either(columns.label[k]!, columns.label_zh[k])} <span class="dim small">{quantityWord(columns.quantity[k]!)}</span></span>
              <Live row={k} />
            </a>
          );
        })}
      </div>
    </section>
  );
}

