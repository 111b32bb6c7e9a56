// Which alarms the list shows, in which order, and which of them are marked. The list never moves under a hand.
import { computed, effect, signal, untracked } from "@preact/signals";
import { chosen, select, selected } from "../../app/selection";
import { go, route } from "../../app/route";
import { alarms, isAside, isUnacked } from "../../live/state";
import type { Alarm } from "../../live/types";

export type View = "open" | "faults" | "warnings" | "shelved" | "out_of_service" | "suppressed";
export const view = signal<View>("open");
export const area = signal("");
export const level = signal(0);
export const marks = signal<ReadonlySet<string>>(new Set());

/** How long the list keeps still after the pointer last moved over it, in ms. */
const STILL_MS = 8000;
const moved = signal(-Infinity);
const held = signal(false);

const PICK: Record<View, (alarm: Alarm) => boolean> = {
  open: (a) => !isAside(a),
  faults: (a) => !isAside(a) && a.level === "fault",
  warnings: (a) => !isAside(a) && a.level === "warning",
  shelved: (a) => a.state === "shelved",
  out_of_service: (a) => a.state === "out_of_service",
  suppressed: (a) => a.state === "suppressed",
};

/** How many each view has, whatever the other filters say. */
export const sizes = computed(() => {
  const found: Record<View, number> = { open: 0, faults: 0, warnings: 0, shelved: 0, out_of_service: 0, suppressed: 0 };
  for (const alarm of alarms.value) for (const name in PICK) if (PICK[name as View](alarm)) found[name as View]++;
  return found;
});

const matching = computed(() => {
  const pick = PICK[view.value];
  return alarms.value.filter((a) => pick(a) && (!area.value || a.area === area.value) && (!level.value || a.priority === level.value));
});
/** What the filters leave out of the open alarms: never hidden without a word. */
export const leftOut = computed(() => sizes.value.open - (view.value === "open" ? matching.value.length : 0));
export const filtered = computed(() => view.value !== "open" || area.value !== "" || level.value !== 0);

/** Ids in the order of the screen; one whose alarm is over stays as an empty place while a hand is over the list. */
const order = signal<string[]>([]);
const fresh = signal(0);
export const news = computed(() => fresh.value);
export const byId = computed(() => new Map(alarms.value.map((alarm) => [alarm.id, alarm])));
export const listed = computed(() => order.value);

function arrange(ids: string[]): void {
  order.value = ids;
  fresh.value = 0;
}

effect(() => {
  const ids = matching.value.map(({ id }) => id);
  const still = (held.value || marks.value.size > 0) && order.peek().length > 0;
  untracked(() => {
    if (!still) return arrange(ids);
    const there = new Set(order.peek());
    fresh.value = ids.filter((id) => !there.has(id)).length;
  });
});

/** Take in what is new, though the list was to keep still. */
export const takeNews = (): void => { untracked(() => arrange(matching.value.map(({ id }) => id))); };

let timer: ReturnType<typeof setTimeout> | undefined;
/** The pointer moved over the list: nothing moves under it now. */
export function hold(): void {
  moved.value = performance.now();
  held.value = true;
  clearTimeout(timer);
  timer = setTimeout(release, STILL_MS);
}
export function release(): void {
  clearTimeout(timer);
  held.value = false;
}

export function mark(id: string, to = !marks.peek().has(id)): void {
  const next = new Set(marks.peek());
  if (to) next.add(id);
  else next.delete(id);
  marks.value = next;
}
export const markAll = (ids: readonly string[]): void => { marks.value = new Set(ids); };
export const unmark = (): void => { marks.value = new Set(); };

// What is over cannot be marked, and an order must not find it there.
effect(() => {
  const there = byId.value;
  const now = marks.value;
  const kept = [...now].filter((id) => there.has(id));
  if (kept.length !== now.size) marks.value = new Set(kept);
});

// Whoever has chosen nothing looks at the most urgent alarm.
effect(() => {
  const ids = listed.value;
  const there = byId.value;
  untracked(() => {
    if (chosen.value && there.has(selected.value)) return;
    chosen.value = false;
    selected.value = ids.find((id) => there.has(id)) ?? "";
  });
});

export const current = computed(() => byId.value.get(selected.value));

/** Choose the alarm so many places further down. */
export function move(by: number): void {
  const ids = listed.value.filter((id) => byId.value.has(id));
  const at = ids.indexOf(selected.value);
  const next = ids[Math.min(ids.length - 1, Math.max(0, at + by))];
  if (next) select(next);
}

/** Choose the next alarm that waits for somebody, after the present one and then from the top. */
export function nextUnacked(): void {
  const ids = listed.value;
  const at = ids.indexOf(selected.value);
  const next = [...ids.slice(at + 1), ...ids.slice(0, at + 1)].find((id) => { const alarm = byId.value.get(id); return alarm && isUnacked(alarm); });
  select(next ?? "");
}

/** Look at the most urgent alarm again: this one was put aside, and keys must not order about what no list shows. */
export function turnFrom(id: string): void {
  select("");
  selected.value = listed.value.find((each) => each !== id && byId.value.has(each)) ?? "";
}

function shown(): void {
  unmark();
  if (route.value.page !== "now" && route.value.page !== "wall") go("now");
}
export function filterLevel(priority: number): void { level.value = level.value === priority ? 0 : priority; shown(); }
export function filterArea(id: string): void { area.value = area.value === id ? "" : id; shown(); }
export function show(next: View): void { view.value = next; unmark(); }
export function showAll(): void { view.value = "open"; area.value = ""; level.value = 0; unmark(); }
