// Times that people type, in the site's time zone.
import { day, hours } from "../../parts/time";

/** Milliseconds of `2026-11-22T05:03` on the site's clocks; NaN where it is no time. */
export function typed(text: string): number {
  const wanted = Date.parse(`${text}Z`);
  if (!Number.isFinite(wanted)) return NaN;
  // What the site's clocks show at a guess says how far the guess is off; twice, for a change of summer time between.
  let found = wanted;
  for (let k = 0; k < 2; k++) found += wanted - Date.parse(`${day(found)}T${hours(found)}Z`);
  return found;
}

/** The same the other way round, for the field. */
export const asTyped = (ms: number): string => `${day(ms)}T${hours(ms, false)}`;

/** `2026-11-21 21:03:04 UTC`. */
export const utc = (at: string): string => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
