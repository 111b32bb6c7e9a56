// The set points of all channels by row, fetched once for each channel table.
import { effect, signal } from "@preact/signals";
import { get } from "../api";
import { table } from "../live/state";
import type { Level, Priority } from "../live/types";

export interface Limit { rule: string; level: Level; priority: Priority; side: "above" | "below"; value: number }
interface Columns { table: number; row: number[]; rule: string[]; level: Level[]; priority: Priority[]; side: ("above" | "below")[]; value: number[] }

/** Empty until they are there; a channel without any has no entry. */
export const limits = signal<Map<number, Limit[]>>(new Map());
let wanted = false;
let known: unknown = null;

/** Have them fetched, now and whenever the channels change. */
export function wantLimits(): void {
  if (wanted) return;
  wanted = true;
  effect(() => {
    const present = table.value;
    if (!present || present === known) return;
    known = present;
    void get<Columns>("set-points").then(
      (found) => { if (known === present) limits.value = byRow(found); },
      () => { known = null; },
    );
  });
}

function byRow(found: Columns): Map<number, Limit[]> {
  const all = new Map<number, Limit[]>();
  found.row.forEach((row, k) => {
    const limit = { rule: found.rule[k]!, level: found.level[k]!, priority: found.priority[k]!, side: found.side[k]!, value: found.value[k]! };
    const same = all.get(row);
    if (same) same.push(limit);
    else all.set(row, [limit]);
  });
  return all;
}
