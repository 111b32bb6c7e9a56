// Times as the control room reads them: 24 hours, the site's time zone, the gateway's clock.
import { now, site } from "../live/state";
import { lang } from "../text";

const HOUR = 3_600_000;
const offsets = new Map<string, number>();
const pad = (n: number, digits = 2): string => String(n).padStart(digits, "0");

/** Milliseconds that the site's clocks are ahead of UTC at a time. Asked once an hour of time: the question is slow. */
function ahead(ms: number): number {
  const zone = site.value?.timezone ?? "";
  const key = `${zone}|${Math.floor(ms / HOUR)}`;
  let found = offsets.get(key);
  if (found === undefined) {
    found = measured(zone, ms);
    if (offsets.size > 5000) offsets.clear();
    offsets.set(key, found);
  }
  return found;
}

function measured(zone: string, ms: number): number {
  const here = -new Date(ms).getTimezoneOffset() * 60_000;
  if (!zone) return here;
  try {
    const shown = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" })
      .formatToParts(ms).reduce<Record<string, number>>((all, { type, value }) => ({ ...all, [type]: Number(value) }), {});
    return Date.UTC(shown["year"]!, shown["month"]! - 1, shown["day"]!, shown["hour"]!, shown["minute"]!, shown["second"]!) - Math.floor(ms / 1000) * 1000;
  } catch { return here; }
}

export const millis = (at: string | number | null | undefined): number => (typeof at === "number" ? at : at ? Date.parse(at) : NaN);
const local = (ms: number): Date => new Date(ms + ahead(ms));

/** `2026-11-22`. */
export function day(at: string | number): string {
  const d = local(millis(at));
  return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;
}

/** `05:03:04`, or `05:03` where seconds say nothing. */
export function hours(at: string | number, seconds = true): string {
  const d = local(millis(at));
  return `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}${seconds ? `:${pad(d.getUTCSeconds())}` : ""}`;
}

/** `05:03:04` today, `11-21 05:03` before. */
export function clock(at: string | number): string {
  const ms = millis(at);
  if (!Number.isFinite(ms)) return "";
  return day(ms) === day(now.peek() || Date.now()) ? hours(ms) : `${day(ms).slice(5)} ${hours(ms, false)}`;
}

/** `2026-11-22 05:03:04`. */
export const moment = (at: string | number): string => `${day(at)} ${hours(at)}`;

/** How long, as short as possible: `0:06`, `12:08`, `2h05`, `3d 4h`. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 3600) return `${Math.floor(s / 60)}:${pad(s % 60)}`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${pad(Math.floor(s / 60) % 60)}`;
  return `${Math.floor(s / 86_400)}d ${Math.floor(s / 3600) % 24}h`;
}

/** How long, in words: `6 s`, `12 min`, `2 h 5 min`; for sentences. */
export function spoken(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const zh = lang.value === "zh";
  const [S, M, H, D] = zh ? [" 秒", " 分钟", " 小时", " 天"] : [" s", " min", " h", " d"];
  if (s < 60) return `${s}${S}`;
  if (s < 3600) return `${Math.floor(s / 60)}${M}${s % 60 && s < 600 ? ` ${s % 60}${S}` : ""}`;
  if (s < 86_400) return `${Math.floor(s / 3600)}${H}${Math.floor(s / 60) % 60 ? ` ${Math.floor(s / 60) % 60}${M}` : ""}`;
  return `${Math.floor(s / 86_400)}${D}${Math.floor(s / 3600) % 24 ? ` ${Math.floor(s / 3600) % 24}${H}` : ""}`;
}

/** A time; the whole of it, with its offset, for who asks (title, screen readers). */
export function Time({ at, long = false }: { at: string | null | undefined; long?: boolean }) {
  if (!at) return null;
  return <time dateTime={at} title={moment(at)}>{long ? moment(at) : clock(at)}</time>;
}

/** How long ago, going on by itself. Nothing before the gateway's time is known. */
export function Age({ since }: { since: string | null | undefined }) {
  if (!since || !now.value) return null;
  return <>{span(now.value - Date.parse(since))}</>;
}

/** How long until, going on by itself; `0:00` when it is over. */
export function Left({ until }: { until: string | null | undefined }) {
  if (!until || !now.value) return null;
  return <>{span(Date.parse(until) - now.value)}</>;
}
