// Alarms over time as bars, with the limit of a flood and the floods themselves. Drawn as SVG: no library for 150 bars.
import { useState } from "preact/hooks";
import { clock, hours } from "../../parts/time";
import type { AlarmStatistics } from "./types";
import { t } from "./words";

export interface Bar { start: number; end: number; count: number }
const TEN_MIN = 600_000;

/** Tens of minutes as they are, or, of longer spans, the worst ten minutes of each `each` of them. */
export function bars(found: AlarmStatistics, each: number): Bar[] {
  const all = found.per_10_min;
  const made: Bar[] = [];
  for (let k = 0; k < all.length; k += each) {
    const some = all.slice(k, k + each);
    made.push({ start: Date.parse(some[0]!.start), end: Date.parse(some.at(-1)!.start) + TEN_MIN, count: Math.max(...some.map((one) => one.count)) });
  }
  return made;
}

/** A round number at or above the highest bar, and the limit always in sight. */
const ceiling = (most: number): number => [5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000].find((n) => n >= most) ?? most;

export function Chart({ found, each, flood }: { found: AlarmStatistics; each: number; flood: number }) {
  const words = t();
  const [at, point] = useState(-1);
  const all = bars(found, each);
  if (!all.length) return <p class="stat-none dim">{words.noData}</p>;
  const top = ceiling(Math.max(flood * 1.2, ...all.map((bar) => bar.count)));
  const from = all[0]!.start;
  const long = all.at(-1)!.end - from;
  const x = (ms: number): number => Math.min(Math.max(((ms - from) / long) * 1000, 0), 1000);
  const y = (n: number): number => 100 - (n / top) * 100;
  const days = long > 2 * 86_400_000;
  const chosen = all[at];
  const ticks = marks(from, long);
  return (
    <figure class="stat-chart">
      <figcaption class="row wrap"><span>{each === 1 ? words.rate : each === 6 ? words.rateHour : words.rateQuarter}</span><span class="grow" /><output class="stat-told">{chosen ? words.at(`${clock(chosen.start)} – ${hours(chosen.end, false)}`, String(chosen.count)) : ""}</output></figcaption>
      <div class="stat-plot">
        <span class="stat-y" style={{ top: "0%" }}>{top}</span>
        <span class="stat-y stat-limit" style={{ top: `${y(flood)}%` }}>{words.limit(String(flood))}</span>
        <svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label={`${words.rate}: ${words.peak} ${found.peak_10_min}`}
          onPointerMove={(e) => { const box = e.currentTarget.getBoundingClientRect(); point(Math.min(Math.floor(((e.clientX - box.left) / box.width) * all.length), all.length - 1)); }}
          onPointerLeave={() => point(-1)}>
          {found.floods.map((one) => <rect key={one.start} class="stat-flood" x={x(Date.parse(one.start))} width={Math.max(x(one.end ? Date.parse(one.end) : all.at(-1)!.end) - x(Date.parse(one.start)), 2)} y={0} height={100} />)}
          {[0.25, 0.5, 0.75].map((share) => <line key={share} class="stat-grid" x1={0} x2={1000} y1={share * 100} y2={share * 100} />)}
          {all.map((bar, k) => bar.count > 0 && (
            <rect key={bar.start} class={`${bar.count > flood ? "stat-bar stat-over" : "stat-bar"}${k === at ? " stat-at" : ""}`} x={x(bar.start) + 0.6} width={Math.max(x(bar.end) - x(bar.start) - 1.2, 1)} y={y(bar.count)} height={100 - y(bar.count)} />
          ))}
          <line class="stat-line" x1={0} x2={1000} y1={y(flood)} y2={y(flood)} />
        </svg>
        {ticks.map((ms) => <span key={ms} class="stat-x" style={{ left: `${x(ms) / 10}%` }}>{days ? clock(ms).slice(0, 5) : hours(ms, false)}</span>)}
      </div>
    </figure>
  );
}

/** Times for the axis: whole hours or days, six or so. */
function marks(from: number, long: number): number[] {
  const HOUR = 3_600_000;
  const step = [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 120 * HOUR].find((ms) => long / ms <= 8) ?? 240 * HOUR;
  const found: number[] = [];
  for (let ms = Math.ceil(from / step) * step; ms < from + long * 0.98; ms += step) if (ms > from + long * 0.02) found.push(ms);
  return found;
}
