// Everything that happened and everything that people did, in one stream that nothing can be taken out of.
import { useState } from "preact/hooks";
import { href } from "../../app/route";
import { epoch, newest, now, table } from "../../live/state";
import type { AlarmEvent } from "../../live/types";
import { FilterChip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { coarse, phone } from "../../parts/media";
import { Menu } from "../../parts/menu";
import { reason, Refused } from "../../parts/order";
import { day, hours, moment } from "../../parts/time";
import { Virtual } from "../../parts/virtual";
import { kindWord } from "../../parts/kinds";
import { about, areaName, quantityWord } from "../../parts/words";
import { either, texts } from "../../text";
import { type Filter, usePages } from "./data";
import { AsOf, Details } from "./dialogs";
import { asTyped, typed, utc } from "./when";
import { WhenField } from "./when_field";
import "./journal.css";

const words = texts({
  en: {
    title: "Journal", find: "Words", who: "By whom", areas: "All areas", time: "Time", all: "All times", h1: "Last hour", h8: "Last 8 hours", h24: "Last 24 hours", d7: "Last 7 days", own: "From – to …", from: "From", to: "To",
    alarms: "Alarms", orders: "Orders", aside: "Put aside", cases: "Responses", duty: "Handover, calibration", refused: "Refused", accounts: "Accounts", notes: "Notes",
    more: "Filter", utc: "UTC", export: "Export", asOf: "As of a time …", csv: "CSV (tables)", jsonl: "JSON Lines (with the chain)", none: "No event matches.", clear: "Clear the filter", loading: "Fetching…",
    news: (n: number) => `${n} new`, head: (seq: string) => `newest number ${seq}`, number: "No.", kind: "Event", where: "About", why: "Why", by: "By", end: (n: string) => `All ${n} that match.`, only: "Only alarm",
  },
  zh: {
    title: "日志", find: "关键字", who: "操作人", areas: "全部区域", time: "时间", all: "全部时间", h1: "最近 1 小时", h8: "最近 8 小时", h24: "最近 24 小时", d7: "最近 7 天", own: "自定时段…", from: "从", to: "到",
    alarms: "报警", orders: "操作", aside: "搁置/抑制/停用", cases: "处置", duty: "交接班、标定", refused: "拒绝", accounts: "账号", notes: "记事",
    more: "筛选", utc: "UTC", export: "导出", asOf: "查看某一时刻…", csv: "CSV（表格）", jsonl: "JSON Lines（含哈希链）", none: "没有符合条件的记录。", clear: "清除筛选", loading: "正在读取…",
    news: (n: number) => `${n} 条新记录`, head: (seq: string) => `最新序号 ${seq}`, number: "序号", kind: "事件", where: "对象", why: "说明", by: "操作人", end: (n: string) => `共 ${n} 条，已全部显示。`, only: "仅此报警",
  },
});
const GROUPS = {
  alarms: ["raised", "escalated", "de_escalated", "returned", "cleared"],
  orders: ["acknowledged", "reset", "silenced", "relearnt"],
  aside: ["shelved", "unshelved", "suppressed", "unsuppressed", "out_of_service", "returned_to_service"],
  cases: ["case"], duty: ["handover", "calibrated"], refused: ["refused"], accounts: ["account"], notes: ["note"],
} as const;
type Group = keyof typeof GROUPS;
const SPANS = { all: 0, h1: 1, h8: 8, h24: 24, d7: 168 } as const;
type Span = keyof typeof SPANS | "own";
const HOUR = 3_600_000;
const RAISING = new Set(["raised", "escalated", "de_escalated"]);

interface Wanted { groups: Group[]; area: string; who: string; q: string; span: Span; since: number; from: string; to: string }
const NOTHING: Wanted = { groups: [], area: "", who: "", q: "", span: "all", since: 0, from: "", to: "" };

/** Page `journal`. */
export default function Journal({ query }: { rest: string; query: URLSearchParams }) {
  const t = words();
  const [wanted, setWanted] = useState<Wanted>(NOTHING);
  const [universal, setUniversal] = useState(false);
  const [one, setOne] = useState<AlarmEvent | null>(null);
  const [asOf, setAsOf] = useState(false);
  const alarm = query.get("alarm") ?? "";
  const put = (change: Partial<Wanted>): void => setWanted((now_) => ({ ...now_, ...change }));
  const filter: Filter = {
    kinds: wanted.groups.flatMap((group) => GROUPS[group]), area: wanted.area, who: wanted.who, q: wanted.q, alarm,
    start: wanted.span === "own" ? typed(wanted.from) || 0 : wanted.since, end: wanted.span === "own" ? typed(wanted.to) || 0 : 0,
  };
  const pages = usePages(filter, () => (document.querySelector(".journal .virtual")?.scrollTop ?? 0) < 40);
  const height = phone.value ? 74 : coarse.value ? 48 : 36;
  const narrowed = wanted !== NOTHING || alarm !== "";
  const up = (): void => { document.querySelector(".journal .virtual")?.scrollTo({ top: 0 }); pages.seen(); };
  return (
    <section class="journal">
      <h1 class="hidden-text">{t.title}</h1>
      <Bar wanted={wanted} put={put} filter={filter} universal={universal} onUniversal={() => setUniversal(!universal)} onAsOf={() => setAsOf(true)} />
      <div class="journal-kinds" role="group" aria-label={t.kind}>
        {(Object.keys(GROUPS) as Group[]).map((group) => (
          <FilterChip key={group} on={wanted.groups.includes(group)} onPress={() => put({ groups: wanted.groups.includes(group) ? wanted.groups.filter((each) => each !== group) : [...wanted.groups, group] })}>{t[group]}</FilterChip>
        ))}
        {alarm && <a class="chip" href={href("journal")}>{t.only} {alarm} <Icon name="close" size={12} /></a>}
        <span class="journal-head" title={epoch.value}>{t.head(String(newest.value))} · <span class="mono">{epoch.value.slice(0, 8)}</span></span>
      </div>
      <Refused text={pages.refusal ? reason(pages.refusal) : ""} />
      <div class="pane journal-pane">
        <div class="journal-row journal-heads"><span class="journal-seq">{t.number}</span><span>{t.time}</span><span>{t.kind}</span><span>{t.where}</span><span>{t.why}</span><span>{t.by}</span></div>
        {pages.fresh > 0 && <button type="button" class="main journal-new" onClick={up}><Icon name="up" size={14} />{t.news(pages.fresh)}</button>}
        {pages.events.length
          ? <Virtual count={pages.events.length} height={height} label={t.title} onNear={pages.fetchMore} row={(k) => <Line key={pages.events[k]!.seq} event={pages.events[k]!} height={height} universal={universal} onOpen={setOne} />} />
          : <div class="empty grow">{pages.busy ? t.loading : <>{t.none}{narrowed && <a class="button" href={href("journal")} onClick={() => setWanted(NOTHING)}>{t.clear}</a>}</>}</div>}
        {pages.events.length > 0 && !pages.busy && !pages.more && <div class="journal-foot">{t.end(String(pages.events.length))}</div>}
      </div>
      {one && <Details event={one} onClose={() => setOne(null)} />}
      {asOf && <AsOf onClose={() => setAsOf(false)} />}
    </section>
  );
}

function Bar({ wanted, put, filter, universal, onUniversal, onAsOf }: {
  wanted: Wanted; put: (change: Partial<Wanted>) => void; filter: Filter; universal: boolean; onUniversal: () => void; onAsOf: () => void;
}) {
  const t = words();
  const areas = [...new Set(table.value?.columns.area ?? [])].filter(Boolean);
  const spanned = (span: Span): void => {
    const present = now.peek() || Date.now();
    if (span === "own") put({ span, since: 0, from: asTyped(present - 8 * HOUR), to: asTyped(present + HOUR) });
    else put({ span, since: SPANS[span] ? present - SPANS[span] * HOUR : 0 });
  };
  const link = (form: string): string => {
    const range = new URLSearchParams({ form, ...(filter.start ? { start: new Date(filter.start).toISOString() } : {}), ...(filter.end ? { end: new Date(filter.end).toISOString() } : {}) });
    return `api/v1/export/journal?${range.toString()}`;
  };
  const [open, setOpen] = useState(false);
  const folded = phone.value && !open;
  return (
    <div class={folded ? "journal-bar folded" : "journal-bar"}>
      <label class="journal-find"><Icon name="search" size={16} /><Typed data-filter label={`${t.find}  /`} value={wanted.q} put={(q) => put({ q })} /></label>
      {phone.value && <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>{t.more}</button>}
      <span class="journal-who"><Typed label={t.who} value={wanted.who} put={(who) => put({ who })} /></span>
      <select aria-label={t.areas} value={wanted.area} onChange={(e) => put({ area: e.currentTarget.value })}>
        <option value="">{t.areas}</option>{areas.map((id) => <option key={id} value={id}>{areaName(id)}</option>)}
      </select>
      <select aria-label={t.time} value={wanted.span} onChange={(e) => spanned(e.currentTarget.value as Span)}>
        {(["all", "h1", "h8", "h24", "d7", "own"] as const).map((span) => <option key={span} value={span}>{t[span]}</option>)}
      </select>
      {wanted.span === "own" && <>
        <WhenField label={t.from} value={wanted.from} put={(from) => put({ from })} /><WhenField label={t.to} value={wanted.to} put={(to) => put({ to })} />
      </>}
      <div class="journal-end">
        <FilterChip on={universal} onPress={onUniversal}>{t.utc}</FilterChip>
        <button type="button" class="quiet" onClick={onAsOf}><Icon name="clock" size={16} />{t.asOf}</button>
        <Menu label={t.export} face={<><Icon name="download" size={16} />{t.export}</>}>
          <a class="button" href={link("csv")} download>{t.csv}</a>
          <a class="button" href={link("jsonl")} download>{t.jsonl}</a>
        </Menu>
      </div>
    </div>
  );
}

/** A field whose text counts once the person pauses. */
function Typed({ label, value, put, ...rest }: { label: string; value: string; put: (text: string) => void; "data-filter"?: boolean }) {
  const [timer, setTimer] = useState<ReturnType<typeof setTimeout>>();
  return <input {...rest} type="search" placeholder={label} aria-label={label} defaultValue={value} autocomplete="off" spellcheck={false} style={{ width: "100%" }}
    onInput={(e) => { const text = e.currentTarget.value.trim(); clearTimeout(timer); setTimer(setTimeout(() => put(text), 300)); }} />;
}

function Line({ event, height, universal, onOpen }: { event: AlarmEvent; height: number; universal: boolean; onOpen: (event: AlarmEvent) => void }) {
  const raised = RAISING.has(event.kind);
  const { title, where } = said(event);
  return (
    <div role="listitem">
      <button type="button" class={`journal-row${raised ? " raised" : ""}`} style={{ height: `${height}px` }} onClick={() => onOpen(event)}>
        <span class="journal-seq dim small">{event.seq}</span>
        <time class="journal-time" dateTime={event.time} title={moment(event.time)}>{universal ? utc(event.time).slice(5, 19) : `${day(event.time).slice(5)} ${hours(event.time)}`}</time>
        <span class="journal-kind">{raised || event.kind === "returned" || event.kind === "cleared"
          ? <Mark priority={event.priority} level={event.level} size={18} hollow={!raised} silent /> : <span class="journal-no" />}<span class="clip">{kindWord(event.kind)}</span></span>
        <span class="journal-what clip">{title}{where && <span class="dim"> · {where}</span>}</span>
        <span class="why clip">{either(event.why, event.why_zh)}</span>
        <span class="journal-by clip">{event.who}</span>
      </button>
    </div>
  );
}

/** What an event is about, on one line. */
export function said(event: AlarmEvent): { title: string; where: string } {
  if (event.case) return { title: either(event.case.title, event.case.title_zh), where: areaName(event.case.area) };
  if (event.alarm) {
    // What is put aside, or over, has no level any more; what it was about is still to be read.
    const level = event.level !== "normal" ? event.level : event.condition;
    const { what, where } = about({ ...event, level });
    return { title: level === "normal" && event.quantity ? quantityWord(event.quantity) : what, where: [where, event.instrument].filter(Boolean).join(" · ") };
  }
  return { title: event.channel || event.instrument || "", where: areaName(event.area) };
}

