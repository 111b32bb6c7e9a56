// All that this page knows of the site. What is old says so; what is not known is not shown.
import { batch, computed, signal } from "@preact/signals";
import { get, locked, Refusal } from "../api";
import type { Message } from "./source";
import type { Alarm, AlarmEvent, Channels, Flood, Frame, Role, Site, Snapshot, Values } from "./types";

export const STALE_MS = 3500;
export const LOST_MS = 10_000;
const RETRY_MS = 2000;
const UNACKED = new Set(["unacked", "returned", "latched_unacked"]);
const ACKED = new Set(["acked", "latched_acked"]);
const SEVERITY: Record<string, number> = { normal: 0, warning: 1, fault: 2, low: 3, high: 4 };
const NO_FLOOD: Flood = { active: false, count: 0, since: null, areas: [] };

/** `waiting` before the first snapshot, `stale` after 3.5 s without a word, `lost` after 10 s or a broken stream. */
export const link = signal<"waiting" | "live" | "stale" | "lost">("waiting");
/** The gateway's time in ms; every time on the page is the gateway's. */
export const now = signal(0);
/** The time of the last frame, as the gateway said it. */
export const lastTime = signal("");
/** How far this computer's clock is from the gateway's, in ms. */
export const skew = signal(0);
export const site = signal<Site | null>(null);
export const siteName = signal("");
export const epoch = signal("");
export const caller = signal<{ name: string; role: Role }>({ name: "", role: "nobody" });
export const audible = signal(false);
export const flood = signal<Flood>(NO_FLOOD);
/** Every alarm that is not normal, most urgent first. */
export const alarms = signal<Alarm[]>([]);
/** Number of the newest event that this page has. */
export const newest = signal(0);

/** The channel table; `columns` is null until it has been fetched. Read `value` and `quality` after looking at `tick`. */
export const table = signal<{ columns: Channels; index: Map<string, number> } | null>(null);
export const tick = signal(0);
export let value = new Float64Array(0);
export let quality: string[] = [];

export const open = computed(() => alarms.value.filter((a) => UNACKED.has(a.state) || ACKED.has(a.state)));
export const unacked = computed(() => alarms.value.filter((a) => UNACKED.has(a.state)));
export const isUnacked = (a: { state: string }): boolean => UNACKED.has(a.state);
export const isAside = (a: { state: string }): boolean => !UNACKED.has(a.state) && !ACKED.has(a.state) && a.state !== "normal";
/** Whether what is shown may be believed. */
export const trusted = computed(() => link.value === "live" || link.value === "stale");

const held = new Map<string, Alarm>();
const listeners = new Set<(event: AlarmEvent) => void>();
let qualities: Record<string, string> = {};
let heard = -Infinity;
let said = 0;
let tableNumber = 0;
let sorting: ReturnType<typeof setTimeout> | 0 = 0;
let mismatches = 0;
let eventful = false;
let merged = 0;
/** What came while the table of its rows is fetched: frames tell only what has changed, so none may be lost. */
let waiting: Values[] | null = null;
/** Alarms that changed since they were last put in order. */
const moved = new Set<string>();

/** Be told of every event as it comes; call what is returned to stop. */
export function onEvent(told: (event: AlarmEvent) => void): () => void {
  listeners.add(told);
  return () => listeners.delete(told);
}

export function take(message: Message): void {
  if (message.kind === "error") return lose();
  heard = performance.now();
  const data = JSON.parse(message.text) as unknown;
  batch(() => {
    if (message.kind === "snapshot") begin(data as Snapshot);
    else if (message.kind === "values") step(data as Frame);
    else if (message.kind === "alarm") change(data as AlarmEvent);
  });
}

function begin(data: Snapshot): void {
  held.clear();
  for (const alarm of data.alarms) held.set(alarm.id, alarm);
  qualities = data.qualities;
  siteName.value = data.name;
  epoch.value = data.epoch;
  caller.value = { name: data.caller, role: data.role };
  newest.value = data.seq;
  locked.value = false;
  mismatches = 0;
  if (tableNumber !== data.table || !table.value) void load(data.table, data.values);
  else { waiting = null; fill(data.values, true); }
  step({ time: data.time, audible: data.audible, alarms: data.alarms.length, values: NO_VALUES, ...(data.flood ? { flood: data.flood } : {}) }, true);
  sort();
}

const NO_VALUES: Values = { rows: [], value: [], quality: [] };

function step(frame: Frame, first = false): void {
  said = Date.parse(frame.time);
  now.value = said;
  skew.value = Date.now() - said;
  lastTime.value = frame.time;
  audible.value = frame.audible;
  flood.value = frame.flood ?? NO_FLOOD;
  // After a loss a snapshot is not enough: the gateway must go on speaking before it is believed again.
  if (!first || link.value !== "lost") link.value = "live";
  fill(frame.values, false);
  // An alarm that this page has missed must not stay missing: three frames that disagree, and it asks for everything.
  // While events come, the number is of another moment than this page's list.
  mismatches = eventful || frame.alarms === held.size ? 0 : mismatches + 1;
  eventful = false;
  if (mismatches > 3) void resync();
}

function fill(values: Values, whole: boolean): void {
  if (waiting) return void waiting.push(values);
  if (whole) { value.fill(NaN); quality.fill("bad"); }
  for (let k = 0; k < values.rows.length; k++) {
    const row = values.rows[k]!;
    value[row] = values.value[k] ?? NaN;
    quality[row] = qualities[String(values.quality[k])] ?? "bad";
  }
  tick.value++;
}

function change(event: AlarmEvent): void {
  if (event.seq <= newest.value) return;
  newest.value = event.seq;
  eventful = true;
  if (event.alarm) {
    moved.add(event.alarm);
    if (event.state === "normal") held.delete(event.alarm);
    else {
      const before = held.get(event.alarm);
      // What was silenced stays so until the alarm sounds anew.
      const silenced = before?.silenced === true && before.sounded === event.sounded;
      held.set(event.alarm, { ...before, ...event, id: event.alarm, silenced, tick: tick.peek() } as Alarm);
    }
  } else if (event.kind === "silenced") {
    for (const [id, alarm] of held) held.set(id, { ...alarm, silenced: true });
    alarms.value = alarms.value.map((alarm) => held.get(alarm.id) ?? alarm);
  }
  // Not with the next frame: a hidden tab has none, and still must sound. In a flood the eye needs no more than a few a second.
  const pause = held.size > 2000 ? 250 : held.size > 500 ? 100 : 16;
  if (!sorting) sorting = setTimeout(merge, Math.max(0, merged + pause - performance.now()));
  for (const told of listeners) told(event);
}

function sort(): void {
  moved.clear();
  alarms.value = [...held.values()].sort(byUrgency);
}

/** Put what changed into its place: with thousands of alarms, sorting them all for each new one would stop the page. */
function merge(): void {
  sorting = 0;
  merged = performance.now();
  if (!moved.size) return;
  const changed = [...moved].flatMap((id) => held.get(id) ?? []).sort(byUrgency);
  const all: Alarm[] = [];
  let next = 0;
  for (const alarm of alarms.value) {
    if (moved.has(alarm.id)) continue;
    while (next < changed.length && byUrgency(changed[next]!, alarm) <= 0) all.push(changed[next++]!);
    all.push(alarm);
  }
  moved.clear();
  alarms.value = all.concat(changed.slice(next));
}

function byUrgency(a: Alarm, b: Alarm): number {
  return group(a) - group(b) || a.priority - b.priority || (SEVERITY[b.level] ?? 0) - (SEVERITY[a.level] ?? 0)
    || Number(a.condition === "normal") - Number(b.condition === "normal") || compare(b.raised_at ?? "", a.raised_at ?? "") || b.seq - a.seq;
}

/** Times are written alike, so that their letters are in their order. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function group(a: Alarm): number {
  return isAside(a) ? 4 : Number(ACKED.has(a.state)) + 2 * Number(a.level === "warning");
}

async function load(number: number, first: Values): Promise<void> {
  const mine = (waiting = [first]);
  // Rows of the new table under names of the old one would be the values of something else.
  tableNumber = 0;
  table.value = null;
  value = new Float64Array(0);
  quality = [];
  while (waiting === mine) {
    try {
      const [found, place] = await Promise.all([
        get<{ table: number; columns: Channels }>("channels?form=columns"),
        get<Site>("site").catch((error: unknown) => { if (error instanceof Refusal && error.status === 404) return null; throw error; }),
      ]);
      if (waiting === mine) batch(() => put(found, place, found.table === number ? mine : null));
      return;
    } catch { await new Promise((done) => setTimeout(done, RETRY_MS)); }
  }
}

/** Begin with a table; where it is a newer one than the stream's, its values come with the stream's next snapshot. */
function put(found: { table: number; columns: Channels }, place: Site | null, came: Values[] | null): void {
  tableNumber = found.table;
  table.value = { columns: found.columns, index: new Map(found.columns.id.map((id, row) => [id, row])) };
  value = new Float64Array(found.columns.id.length).fill(NaN);
  quality = new Array<string>(found.columns.id.length).fill("bad");
  site.value = place;
  waiting = came ? null : [];
  came?.forEach((values) => fill(values, false));
}

async function resync(): Promise<void> {
  mismatches = 0;
  const before = newest.value;
  const found = await get<{ alarms: Alarm[] }>("alarms").catch(() => null);
  // An answer older than what came meanwhile would take an alarm away; the next frames that disagree ask again.
  if (!found || newest.value !== before) return;
  held.clear();
  for (const alarm of found.alarms) held.set(alarm.id, alarm);
  sort();
}

function lose(): void {
  if (link.value === "live" || link.value === "stale") link.value = "lost";
}

/** Once a second: time goes on, and silence is noticed. */
setInterval(() => {
  const silent = performance.now() - heard;
  if (link.value === "live" || link.value === "stale") {
    now.value = said + silent;
    if (silent > LOST_MS) link.value = "lost";
    else if (silent > STALE_MS) link.value = "stale";
  }
}, 1000);
