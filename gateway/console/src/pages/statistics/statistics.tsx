// How alarms behave, after EEMUA 191 and ISA-18.2, and what to mend first.
import type { ComponentChildren } from "preact";
import { go, href } from "../../app/route";
import { now, site, table } from "../../live/state";
import type { AlarmEvent } from "../../live/types";
import { useAsk } from "../../parts/ask";
import { FilterChip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { reason, Refused } from "../../parts/order";
import { clock, hours, spoken } from "../../parts/time";
import { about, areaName, channelName, isSystem, rowOf } from "../../parts/words";
import { either, lang } from "../../text";
import { Chart } from "./chart";
import type { AlarmStatistics, Aside } from "./types";
import { t } from "./words";
import "./statistics.css";

const SPANS = { shift: 8, day: 24, week: 168, month: 720 } as const;
type Span = keyof typeof SPANS;
/** How many tens of minutes make one bar. */
const EACH: Record<Span, number> = { shift: 1, day: 1, week: 6, month: 36 };
const ASK_MS = 60_000;

export default function StatisticsPage({ query }: { query: URLSearchParams }) {
  const words = t();
  const asked = query.get("span") ?? "day";
  const span: Span = asked in SPANS ? (asked as Span) : "day";
  const ago = span === "shift" ? shiftAgo() : SPANS[span] * 3600;
  const { data, refusal } = useAsk<AlarmStatistics>(ago ? `statistics/alarms?start=${ago}&end=0` : null, ASK_MS);
  const report = (kind: string): string => `api/v1/reports/${kind}?form=html&lang=${lang.value}`;
  return (
    <section class="page stat-page">
      <div class="page-head">
        <h1>{words.title}</h1>
        <div class="row" role="group" aria-label={words.span}>{(Object.keys(SPANS) as Span[]).map((each) => <FilterChip key={each} on={each === span} onPress={() => go("statistics", "", { span: each })}>{words[each]}</FilterChip>)}</div>
        <span class="grow" />
        <a class="button" href={report("daily")} target="_blank" rel="noopener"><Icon name="journal" />{words.daily}</a>
        <a class="button" href={report("monthly")} target="_blank" rel="noopener"><Icon name="journal" />{words.monthly}</a>
      </div>
      {refusal && (refusal.status === 404 ? <p class="note">{words.absent}</p> : <Refused text={reason(refusal)} />)}
      {data && <Shown found={data} each={EACH[span]} />}
    </section>
  );
}

/** Seconds since the shift that runs began, rounded to the minute so that the question stays the same; 8 h where the site has no shifts. */
function shiftAgo(): number {
  const shifts = site.value?.shifts ?? [];
  const at = now.peek();
  if (!at) return 0;
  if (!shifts.length) return SPANS.shift * 3600;
  const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));
  const here = minutes(hours(at, false));
  const ago = Math.min(...shifts.map((one) => (here - minutes(one.begins) + 1440) % 1440));
  return Math.max(ago, 10) * 60;
}

function Shown({ found, each }: { found: AlarmStatistics; each: number }) {
  const words = t();
  const flood = site.value?.flood.begins ?? 10;
  return (
    <>
      <section class="pane stat-fix" aria-label={words.fix}>
        <header><h2>{words.fix}</h2></header>
        {found.advice.length
          ? <ol>{found.advice.map((one, k) => <li key={k}><b class="stat-rank">{k + 1}</b><span class="grow">{either(one.en, one.zh).replace(one.alarm, () => alarmName(one.alarm))}</span>{one.alarm && <AlarmLink alarm={one.alarm} brief />}</li>)}</ol>
          : <p class="stat-none dim">{words.fixNone}</p>}
      </section>
      <Tiles found={found} flood={flood} />
      <section class="pane stat-rate"><Chart found={found} each={each} flood={flood} /><Floods found={found} /></section>
      <div class="stat-columns">
        <List title={words.top} rows={found.top.slice(0, 10)} wide>{(one) => (
          <><AlarmLink alarm={one.alarm} /><span class="stat-measure"><i style={{ width: `${(one.count / (found.top[0]?.count || 1)) * 100}%` }} /></span><b class="number">{one.count}</b><span class="dim number stat-share">{one.share_percent.toFixed(0)} %</span></>
        )}</List>
        <div class="stack stat-stack">
          <Mix found={found} />
          <Responses found={found} />
        </div>
      </div>
      <div class="stat-lists">
        <List title={words.chattering} told={words.chatteringTold} rows={found.chattering}>{(one) => <><AlarmLink alarm={one.alarm} /><b>{words.perMin(String(one.max_per_min))}</b><span class="dim number">{words.times(String(one.count))}</span></>}</List>
        <List title={words.fleeting} told={words.fleetingTold} rows={found.fleeting}>{(one) => <><AlarmLink alarm={one.alarm} /><b class="number">{words.times(String(one.count))}</b></>}</List>
        <List title={words.stale} told={words.staleTold} rows={found.stale}>{(one) => <><AlarmLink alarm={one.alarm} /><b>{spoken(now.value - Date.parse(one.since))}</b></>}</List>
        <Put title={words.shelved} rows={found.shelved} />
        <Put title={words.out} rows={found.out_of_service} />
        <Put title={words.suppressed} rows={found.suppressed} />
      </div>
    </>
  );
}

function Tiles({ found, flood }: { found: AlarmStatistics; flood: number }) {
  const words = t();
  const { median_s, p90_s, unacknowledged } = found.acknowledge;
  const tiles: { name: string; figure: string; guide: string; bad: boolean }[] = [
    { name: words.raised, figure: String(found.raised), guide: `${clock(found.start)} – ${clock(found.end)}`, bad: false },
    { name: words.perHour, figure: found.per_hour.toFixed(1), guide: words.guideHour, bad: found.per_hour > 12 },
    { name: words.peak, figure: String(found.peak_10_min), guide: words.guidePeak(String(flood)), bad: found.peak_10_min > flood },
    { name: words.flood, figure: `${found.in_flood_percent.toFixed(1)} %`, guide: words.guideFlood, bad: found.in_flood_percent >= 1 },
    { name: words.median, figure: median_s === null ? "–" : spoken(median_s * 1000), guide: p90_s === null ? "" : words.p90(spoken(p90_s * 1000)), bad: false },
    { name: words.unacked, figure: String(unacknowledged), guide: unacknowledged ? words.wait : "", bad: unacknowledged > 0 },
  ];
  return (
    <dl class="stat-tiles">{tiles.map((tile) => (
      <div key={tile.name} class={tile.bad ? "pane stat-bad" : "pane"}><dt>{tile.name}</dt><dd>{tile.figure}</dd><dd class="small dim">{tile.bad && tile.name !== words.unacked ? `${words.above} · ` : ""}{tile.guide}</dd></div>
    ))}</dl>
  );
}

function Floods({ found }: { found: AlarmStatistics }) {
  const words = t();
  return (
    <div class="stat-floods"><h3>{words.floods}</h3>
      {found.floods.length
        ? <ul class="row wrap">{found.floods.slice(-12).map((one) => <li key={one.start} class="stat-flood-chip"><b>{clock(one.start)}</b> – {one.end ? hours(one.end, false) : <em>{words.still}</em>} · {words.floodLine(String(one.count))}</li>)}</ul>
        : <p class="dim">{words.noFlood}</p>}
    </div>
  );
}

/** How the priorities are mixed, against 5 / 15 / 80 percent. */
function Mix({ found }: { found: AlarmStatistics }) {
  const words = t();
  const of = (...priorities: number[]): number => priorities.reduce((sum, p) => sum + (found.by_priority[String(p)] ?? 0), 0);
  const all = of(1, 2, 3, 4) || 1;
  const rows: { marks: number[]; count: number; guide: number }[] = [{ marks: [1], count: of(1), guide: 5 }, { marks: [2], count: of(2), guide: 15 }, { marks: [3, 4], count: of(3, 4), guide: 80 }];
  return (
    <section class="pane stat-mix" aria-label={words.mix}>
      <header><h2>{words.mix}</h2></header>
      <ul>{rows.map(({ marks, count, guide }) => (
        <li key={guide}>
          <span class="row stat-marks">{marks.map((p) => <Mark key={p} priority={p} size={18} />)}</span>
          <span class="stat-measure stat-guided"><i style={{ width: `${(count / all) * 100}%` }} /><u style={{ left: `${guide}%` }} /></span>
          <b class="number">{((count / all) * 100).toFixed(0)} %</b><span class="dim number">{words.guide(String(guide))}</span>
        </li>
      ))}</ul>
      <p class="stat-none dim small">{words.mixTold}</p>
    </section>
  );
}

function Responses({ found }: { found: AlarmStatistics }) {
  const words = t();
  const { opened, closed, overdue, by_outcome } = found.cases;
  const outcomes = (["real", "false", "maintenance", "test", "instrument_fault"] as const).filter((each) => by_outcome[each]);
  return (
    <section class="pane stat-cases" aria-label={words.cases}>
      <header><h2>{words.cases}</h2><span class="dim">{opened} {words.opened} · {closed} {words.closed}{overdue > 0 && <> · <b class="stat-late">{overdue} {words.overdue}</b></>}</span></header>
      {outcomes.length > 0 && <ul>{outcomes.map((each) => <li key={each}><span>{words[each]}</span><span class="stat-measure"><i style={{ width: `${(by_outcome[each]! / Math.max(closed, 1)) * 100}%` }} /></span><b class="number">{by_outcome[each]}</b></li>)}</ul>}
    </section>
  );
}

function List<T extends { alarm: string }>({ title, told = "", rows, wide = false, children }: { title: string; told?: string; rows: T[]; wide?: boolean; children: (row: T) => ComponentChildren }) {
  return (
    <section class={wide ? "pane stat-list stat-wide" : "pane stat-list"} aria-label={title}>
      <header><h2>{title}</h2>{told && <span class="dim small">{told}</span>}</header>
      {rows.length ? <ul>{rows.map((row) => <li key={row.alarm}>{children(row)}</li>)}</ul> : <p class="stat-none dim">{t().none}</p>}
    </section>
  );
}

const Put = ({ title, rows }: { title: string; rows: Aside[] }) => (
  <List title={title} rows={rows}>{(one) => <><AlarmLink alarm={one.alarm} /><b>{spoken(one.total_s * 1000)}</b><span class="dim number">{t().times(String(one.times))}</span></>}</List>
);

/** An alarm's id as people read it: the point first, then the rule; a link to where its past is. */
function AlarmLink({ alarm, brief = false }: { alarm: string; brief?: boolean }) {
  const cut = alarm.indexOf(":");
  const channel = cut > 0 ? alarm.slice(cut + 1) : "";
  const row = rowOf(channel);
  if (row < 0) return <a class="stat-alarm" href={href("journal", "", { alarm })}><b class="clip">{alarmName(alarm)}</b></a>;
  return <a class="stat-alarm" href={href("point", channel)}><b class="clip">{channelName(channel)}</b>{!brief && <span class="dim small clip">{[areaOf(row), alarm].filter(Boolean).join(" · ")}</span>}</a>;
}

/** An alarm's point as people call it; of the gateway's own, what it is; its id where neither is known. */
function alarmName(alarm: string): string {
  const channel = alarm.slice(alarm.indexOf(":") + 1);
  if (isSystem({ alarm })) return about({ alarm, area: "", why: "", why_zh: "" } as AlarmEvent).what;
  return rowOf(channel) < 0 ? alarm : channelName(channel);
}

const areaOf = (row: number): string => areaName(table.value?.columns.area[row] ?? "");
