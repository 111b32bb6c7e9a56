// A channel's past as a curve: limits, alarms, and honest gaps where nothing is known.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, Refusal } from "../api";
import { link, now, onEvent, quality, tick, value } from "../live/state";
import type { AlarmEvent } from "../live/types";
import { lang, texts } from "../text";
import { Icon } from "./icon";
import { clock, millis, moment } from "./time";
import "./trend.css";
import type { Chart, Shown } from "./trend/chart";
import { broken, type Curve, curveOf, type Detail, detailOf, historyOf, isBad, NOTHING, periodOf, stretches, summary } from "./trend/data";
import { GONE, levelWord, qualityWord, rowOf } from "./words";

const words = texts({
  en: {
    trend: (name: string) => `Trend of ${name}`, loading: "Fetching the past…", none: "No readings in this time.", failed: (why: string) => `The past cannot be read. ${why}`, again: "Try again",
    nothing: "no readings", low: "lowest", high: "highest", last: "last", close: "Fit to the readings", limits: "Show the limits", whole: "Whole time", raised: "raised",
    bad: (share: string) => `${share} % without value`, mean: "mean", keys: "Arrow keys read values, plus and minus zoom, 0 shows all.", lost: "No link: the curve ends here.",
  },
  zh: {
    trend: (name: string) => `${name} 趋势`, loading: "正在读取历史…", none: "该时段无数据。", failed: (why: string) => `无法读取历史。${why}`, again: "重试",
    nothing: "无数据", low: "最低", high: "最高", last: "最新", close: "适应曲线", limits: "显示限值", whole: "全部时段", raised: "报警",
    bad: (share: string) => `${share} % 无数值`, mean: "平均", keys: "方向键读数，加减键缩放，0 显示全部。", lost: "与网关断开：曲线到此为止。",
  },
});
const RULES_MAX = 8;
const AROUND_S = 600;
const POINTS_MAX = 20_000;

/** From ten minutes before the moment to ten after it, or the last `span` seconds. `live`: its end is now. */
function windowOf(around: string | undefined, span: number, nowS: number): { from: number; to: number; live: boolean } {
  const at = around ? millis(around) / 1000 : NaN;
  if (!Number.isFinite(at)) return { from: nowS - span, to: nowS, live: true };
  const to = at + Math.max(AROUND_S, span - AROUND_S);
  return to >= nowS ? { from: at - AROUND_S, to: Math.max(nowS, at + 60), live: true } : { from: at - AROUND_S, to, live: false };
}

interface Past { curve: Curve; periodS: number; detail: Detail; events: AlarmEvent[]; to: number }

async function past(channel: string, from: number, to: number): Promise<Past> {
  const [history, detail] = await Promise.all([historyOf(channel, from, to), detailOf(channel)]);
  const told = await Promise.all(detail.rules.slice(0, RULES_MAX).map(({ id }) =>
    get<{ events: AlarmEvent[] }>(`events?newest_first=true&limit=100&alarm=${encodeURIComponent(id)}`).catch(() => ({ events: [] }))));
  const curve = curveOf(history);
  return { curve, periodS: periodOf(curve), detail, events: told.flatMap((one) => one.events), to };
}

/** `span` in seconds; with `around` (when an alarm was raised) from ten minutes before it. `height` in px. */
export function Trend({ channel, around, span = AROUND_S, height = 220 }: { channel: string; around?: string; span?: number; height?: number }) {
  const t = words();
  const [found, setFound] = useState<Past | null>(null);
  const [refusal, setRefusal] = useState("");
  const [attempt, setAttempt] = useState(0);
  const [close, setClose] = useState(false);
  const [zoomed, setZoomed] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const plot = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const known = now.value > 0;
  const period = windowOf(around, span, (now.peek() || Date.now()) / 1000);

  useEffect(() => {
    if (!known || !channel) return;
    let gone = false;
    setFound(null); setRefusal(""); setAt(null); setZoomed(false);
    past(channel, period.from, period.to).then(
      (answer) => { if (!gone) setFound(answer); },
      (error: unknown) => { if (!gone) setRefusal(error instanceof Refusal ? error.message || t.lost : String(error)); },
    );
    return () => { gone = true; };
  }, [channel, around, span, known, attempt, link.value === "lost"]);

  // The live tail: what the stream brings is put behind the past, once a second.
  useEffect(() => {
    if (!found || !period.live || link.peek() !== "live") return;
    if (append(found.curve, channel, now.peek() / 1000, around ? period.from : now.peek() / 1000 - span)) setFound({ ...found, to: now.peek() / 1000 });
  }, [tick.value]);
  useEffect(() => onEvent((event) => {
    setFound((one) => (one && one.detail.rules.some(({ id }) => id === event.alarm) ? { ...one, events: [...one.events.slice(-500), event] } : one));
  }), [channel]);

  const from = around ? period.from : (found?.to ?? period.to) - span;
  const to = period.live ? Math.max(found?.to ?? 0, period.to) : period.to;
  const shown = useMemo<Shown | null>(() => found && {
    ...broken(found.curve, found.periodS, from, to), from, to,
    alarms: stretches(found.events), limits: found.detail.rules.flatMap((rule) => rule.set_points ?? []),
    decimals: found.detail.decimals, unit: found.detail.unit, rangeLow: found.detail.range_low, rangeHigh: found.detail.range_high,
    close, around: around ? millis(around) / 1000 : null,
  }, [found, close]);
  const empty = !shown || !shown.curve.time.length;

  useEffect(() => {
    if (!shown || empty) return;
    if (chart.current) { chart.current.show(shown); return; }
    let gone = false;
    void import("./trend/chart").then(({ Chart: Made }) => {
      if (gone || !plot.current || chart.current) return;
      const said = words();
      chart.current = new Made(plot.current, shown, { limit: levelWord, gap: (q) => (q === NOTHING ? said.nothing : qualityWord(q)) }, setAt, setZoomed);
    });
    return () => { gone = true; };
  }, [shown]);
  useEffect(() => () => { chart.current?.close(); chart.current = null; }, [channel, around, span, lang.value, empty]);

  const name = found ? (lang.value === "zh" && found.detail.label_zh) || found.detail.label : channel;
  return (
    <div class="trend">
      <div class="trend-head">
        <Reading shown={shown} at={at} />
        <div class="trend-tools">
          {zoomed && <button type="button" class="quiet" onClick={() => chart.current?.zoom(0)}>{t.whole}</button>}
          {shown && shown.limits.length > 0 && <button type="button" class="quiet" aria-pressed={close} onClick={() => setClose(!close)}>{t.close}</button>}
        </div>
      </div>
      <div class="trend-box" style={{ height: `${height}px` }} tabIndex={0} role="group" aria-label={t.trend(name)} aria-description={t.keys}
        onKeyDown={(e) => { if (keyed(chart.current, e.key, e.shiftKey)) { e.preventDefault(); e.stopPropagation(); } }} onBlur={() => chart.current?.leave()}>
        <div class="trend-plot" ref={plot} />
        {refusal ? <div class="trend-over"><span>{t.failed(refusal)}</span><button type="button" onClick={() => setAttempt(attempt + 1)}>{t.again}</button></div>
          : !found ? <div class="trend-over">{t.loading}</div>
          : empty && <div class="trend-over">{t.none}</div>}
      </div>
    </div>
  );
}

/** Put the newest reading behind a curve, and leave out what is older than `from`; whether that changed anything. */
function append(curve: Curve, channel: string, at: number, from: number): boolean {
  const row = rowOf(channel);
  const last = curve.time.length - 1;
  if (row < 0 || at <= (curve.time[last] ?? 0) + 0.2) return false;
  const named = quality[row] ?? "bad";
  const shown = isBad(named) || !Number.isFinite(value[row]) ? null : value[row]!;
  const { time, low, mean, high } = curve;
  if (curve.byMinute && last >= 0 && at - time[last]! < 60) {
    // The minute that runs: its lowest and highest widen, its mean is only known when it is over.
    if (shown !== null) { low[last] = Math.min(low[last] ?? shown, shown); high[last] = Math.max(high[last] ?? shown, shown); mean[last] ??= shown; }
    return true;
  }
  time.push(curve.byMinute ? Math.floor(at / 60) * 60 : at);
  for (const column of [low, mean, high]) column.push(shown);
  curve.quality.push(named);
  // One older reading stays: the line comes in from the left edge.
  let old = time.length > POINTS_MAX ? 1000 : 0;
  while (old + 1 < time.length && time[old + 1]! < from) old++;
  if (old) for (const column of [time, low, mean, high, curve.quality]) (column as unknown[]).splice(0, old);
  return true;
}

function keyed(chart: Chart | null, key: string, fast: boolean): boolean {
  switch (key) {
    case "ArrowLeft": chart?.step(fast ? -10 : -1); return true;
    case "ArrowRight": chart?.step(fast ? 10 : 1); return true;
    case "PageUp": chart?.pan(-0.5); return true;
    case "PageDown": chart?.pan(0.5); return true;
    case "+": case "=": chart?.zoom(2); return true;
    case "-": chart?.zoom(0.5); return true;
    case "0": chart?.zoom(0); return true;
    default: return false;
  }
}

const TOLD_MAX = 10;

/** Limits, alarms and gaps in words: what the drawing shows, for those who do not see it. */
function told({ limits, alarms, gaps, from, to }: Shown): string {
  const t = words();
  const inside = <T extends { from: number; to: number }>(all: T[]): T[] => all.filter((one) => one.to > from && one.from < to).slice(-TOLD_MAX);
  const span = (one: { from: number; to: number }): string => `${clock(Math.max(from, one.from) * 1000)} – ${clock(Math.min(to, one.to) * 1000)}`;
  return [
    ...limits.map((one) => `${levelWord(one.level)} ${one.side === "above" ? "≥" : "≤"} ${one.value}`),
    ...inside(alarms).map((one) => `${levelWord(one.level)} ${span(one)}`),
    ...inside(gaps).map((one) => `${one.quality === NOTHING ? t.nothing : qualityWord(one.quality)} ${span(one)}`),
  ].join("; ");
}

/** What the cursor is on; without a cursor the trend in figures, which is also what a screen reader gets. */
function Reading({ shown, at }: { shown: Shown | null; at: number | null }) {
  const t = words();
  if (!shown) return <p class="trend-read" />;
  const { curve, decimals, unit, from, to } = shown;
  const figure = (v: number | null | undefined): string => (v === null || v === undefined ? GONE : `${v.toFixed(decimals)} ${unit}`);
  const time = at === null ? undefined : curve.time[at];
  if (at !== null && time !== undefined) {
    const quality = curve.quality[at]!;
    const wide = curve.byMinute && curve.low[at] !== curve.high[at] && curve.mean[at] !== null;
    return (
      <p class="trend-read" aria-live="polite">
        <span>{clock(time * 1000)}</span><b>{figure(curve.mean[at])}</b>
        {wide && <span>{t.low} {figure(curve.low[at])} · {t.high} {figure(curve.high[at])}</span>}
        {quality !== "good" && <span>{quality === NOTHING ? t.nothing : qualityWord(quality)}</span>}
      </p>
    );
  }
  const sum = summary(curve, from, to);
  if (!sum) return <p class="trend-read" />;
  const share = (100 * sum.bad) / sum.count;
  return (
    <p class="trend-read">
      {Number.isFinite(sum.low) && <><span>{t.low} <b>{figure(sum.low)}</b></span><span>{t.high} <b>{figure(sum.high)}</b></span></>}
      {sum.bad > 0 && <span>{t.bad(share < 1 ? "< 1" : share.toFixed(0))}</span>}
      <span class="hidden-text">{t.last} {sum.last === null ? qualityWord(sum.lastQuality) : figure(sum.last)}, {moment(to * 1000)}. {told(shown)}</span>
      <Icon name="clock" size={14} /><span>{clock(from * 1000)} – {clock(to * 1000)}</span>
    </p>
  );
}
