// What a trend shows: a channel's past, its limits, when it was in alarm, and where nothing is known.
import { get, part } from "../../api";
import type { AlarmEvent, Level, Priority } from "../../live/types";

export interface History {
  channel: string; unit: string; start: string; end: string; resolution_s: number;
  time: string[]; low: (number | null)[]; mean: (number | null)[]; high: (number | null)[]; quality: string[];
}
export interface SetPoint { level: Level; priority: Priority; side: "above" | "below"; value: number }
export interface Rule {
  id: string; type: string; level: Level; in_service: boolean; learns: boolean; ready: boolean; score: number | null;
  set_points: SetPoint[];
}
export interface Detail {
  id: string; instrument: string; quantity: string; unit: string; decimals: number; area: string; location: string; label: string; label_zh: string;
  range_low: number | null; range_high: number | null; time: string | null; value: number | null; quality: string; rules: Rule[];
}

/** A time in which something held; seconds since 1970, `to` is Infinity while it lasts. */
export interface Stretch { from: number; to: number }
export interface AlarmStretch extends Stretch { alarm: string; level: Level; priority: Priority }
export interface Gap extends Stretch { quality: string }

/** Columns for the chart; times in seconds, null where there is no value. */
export interface Curve { time: number[]; low: (number | null)[]; mean: (number | null)[]; high: (number | null)[]; quality: string[]; byMinute: boolean }

const HAS_VALUE = new Set(["good", "uncertain", "clock_doubtful", "over_range", "test", "maintenance"]);
/** Whether a quality of this name has no value that may be shown. */
export const isBad = (quality: string): boolean => !HAS_VALUE.has(quality);
export const NOTHING = "nothing";

export const historyOf = (channel: string, fromS: number, toS: number): Promise<History> =>
  get<History>(`channels/${part(channel)}/history?start=${encodeURIComponent(iso(fromS))}&end=${encodeURIComponent(iso(toS))}`);
export const detailOf = (channel: string): Promise<Detail> => get<Detail>(`channels/${part(channel)}`);
export const iso = (s: number): string => new Date(s * 1000).toISOString();

export function curveOf(history: History): Curve {
  const byMinute = history.resolution_s > 0;
  return { time: history.time.map((at) => Date.parse(at) / 1000), low: history.low, mean: history.mean, high: history.high, quality: history.quality, byMinute };
}

/** Longest silence between two readings that is not yet a gap. */
const silence = (curve: Curve, periodS: number): number => (curve.byMinute ? 150 : Math.max(10, 3.5 * periodS));

/** Seconds from one reading to the next, as they mostly come; 1 where there are too few to tell. */
export function periodOf(curve: Curve): number {
  const steps = curve.time.slice(1, 400).map((at, k) => at - curve.time[k]!).sort((a, b) => a - b);
  return steps.length < 3 ? 1 : Math.max(0.1, steps[Math.floor(steps.length / 2)]!);
}

/** Put an empty place wherever readings are missing, so that no line is drawn across what nobody measured. */
export function broken(curve: Curve, periodS: number, fromS: number, toS: number): { curve: Curve; gaps: Gap[] } {
  const found: Curve = { time: [], low: [], mean: [], high: [], quality: [], byMinute: curve.byMinute };
  const longest = silence(curve, periodS);
  const gaps: Gap[] = [];
  const step = curve.byMinute ? 60 : periodS;
  const first = curve.time[0], last = curve.time[curve.time.length - 1];
  if (first !== undefined && first - fromS > longest) gaps.push({ from: fromS, to: first, quality: NOTHING });
  curve.time.forEach((at, k) => {
    const before = curve.time[k - 1];
    if (before !== undefined && at - before > longest) {
      found.time.push(before + step);
      for (const column of [found.low, found.mean, found.high]) column.push(null);
      found.quality.push(NOTHING);
      gaps.push({ from: before + step, to: at, quality: NOTHING });
    }
    const quality = curve.quality[k]!;
    found.time.push(at);
    found.low.push(curve.low[k] ?? null);
    found.mean.push(curve.mean[k] ?? null);
    found.high.push(curve.high[k] ?? null);
    found.quality.push(quality);
    if (curve.mean[k] === null || curve.mean[k] === undefined) {
      const last = gaps[gaps.length - 1];
      const until = curve.time[k + 1] ?? at + step;
      if (last && last.quality === quality && last.to >= at - 0.001) last.to = until;
      else gaps.push({ from: at, to: until, quality });
    }
  });
  if (last !== undefined && toS - last > longest) gaps.push({ from: last + step, to: toS, quality: NOTHING });
  return { curve: found, gaps };
}

/** When alarms were there and at which level, from their events in any order. */
export function stretches(events: AlarmEvent[]): AlarmStretch[] {
  const running = new Map<string, AlarmStretch>();
  const found: AlarmStretch[] = [];
  for (const event of [...events].sort((a, b) => a.seq - b.seq)) {
    const at = Date.parse(event.time) / 1000;
    const last = running.get(event.alarm);
    if (last && last.level === event.condition) continue;
    if (last) { last.to = at; running.delete(event.alarm); }
    if (event.condition === "normal" || !event.alarm) continue;
    const next: AlarmStretch = { alarm: event.alarm, level: event.condition, priority: event.priority, from: at, to: Infinity };
    running.set(event.alarm, next);
    found.push(next);
  }
  return found;
}

export interface Summary { low: number; high: number; last: number | null; lastQuality: string; bad: number; count: number }

/** What a curve says in figures; null where it has no value at all. */
export function summary(curve: Curve, fromS: number, toS: number): Summary | null {
  let low = Infinity, high = -Infinity, bad = 0, count = 0;
  let last: number | null = null;
  let lastQuality = "";
  curve.time.forEach((at, k) => {
    if (at < fromS || at > toS || curve.quality[k] === NOTHING) return;
    count++;
    last = curve.mean[k] ?? null;
    lastQuality = curve.quality[k]!;
    if (last === null) { bad++; return; }
    low = Math.min(low, curve.low[k] ?? last);
    high = Math.max(high, curve.high[k] ?? last);
  });
  return count ? { low, high, last, lastQuality, bad, count } : null;
}
