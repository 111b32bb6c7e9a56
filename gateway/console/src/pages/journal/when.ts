// Times that people type, in the site's time zone.
import { day, hours } from "../../parts/time";

const SHAPE = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2})?)$/;

/** Milliseconds of `2026-11-22 05:03` or `… 05:03:04` on the site's clocks; NaN where it is no time. */
export function typed(text: string): number {
  const parts = SHAPE.exec(text.trim());
  const wanted = parts ? Date.parse(`${parts[1]}T${parts[2]}Z`) : NaN;
  if (!Number.isFinite(wanted)) return NaN;
  // What the site's clocks show at a guess says how far the guess is off; twice, for a change of summer time between.
  let found = wanted;
  for (let k = 0; k < 2; k++) found += wanted - Date.parse(`${day(found)}T${hours(found)}Z`);
  return found;
}

/** The same the other way round, for the field. */
export const asTyped = (ms: number): string => `${day(ms)} ${hours(ms, false)}`;

/** `2026-11-21 21:03:04 UTC`. */
export const utc = (at: string): string => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
