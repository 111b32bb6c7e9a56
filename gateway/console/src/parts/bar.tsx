// A value within its range, with its limits: how far it is from an alarm, at a glance.
import { link, quality, table, tick, value } from "../live/state";
import { limits } from "./setpoints";
import { isBad } from "./trend/data";
import "./bar.css";

/** `priority`: of the alarm that its value has raised, 0 for none. */
export function Bar({ row, priority }: { row: number; priority: number }) {
  tick.value;
  const columns = table.value?.columns;
  const own = limits.value.get(row) ?? [];
  const low = columns?.range_low[row] ?? 0;
  const high = columns?.range_high[row] ?? Math.max(...own.map((one) => one.value * 1.5), NaN);
  const width = high - low;
  const now = value[row] ?? NaN;
  const gone = link.value === "lost" || isBad(quality[row] ?? "bad") || !Number.isFinite(now);
  if (!(width > 0)) return <div class="bar" aria-hidden="true" hidden />;
  const at = (v: number): string => `${Math.min(100, Math.max(0, (100 * (v - low)) / width))}%`;
  return (
    <div class={`bar${gone ? " bar-none" : priority ? " bar-on" : ""}`} aria-hidden="true">
      {!gone && <div class={`bar-fill p${priority}`} style={{ width: at(now) }} />}
      {own.map((one) => one.value >= low && one.value <= high && <div key={`${one.rule}${one.level}${one.side}`} class={`bar-tick ${one.level} p${one.priority}`} style={{ left: at(one.value) }} />)}
    </div>
  );
}
