// The cases that this page knows: asked for once, then changed by the live stream.
import { computed, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, part, Refusal } from "../../api";
import { link, now, onEvent } from "../../live/state";
import type { Case, Outcome, Step } from "../../live/types";

export const STEPS: readonly Step[] = ["acknowledge", "dispatch", "arrive", "close"];
export const OUTCOMES: readonly Outcome[] = ["real", "false", "maintenance", "test", "instrument_fault"];

const held = signal(new Map<string, Case>());
/** Whether the open cases are all here; null where this gateway has none (404). */
export const whole = signal<boolean | null>(false);
export const trouble = signal<Refusal | null>(null);

export const openCases = computed(() => [...held.value.values()].filter((c) => c.state !== "closed").sort(byUrgency));

let followers = 0;
let leave = (): void => undefined;

// An alarm's event names its case; only events of the kind `case` hold it.
onEvent((event) => { if (event.kind === "case" && typeof event.case === "object" && event.case) put([event.case]); });

function put(cases: readonly Case[]): void {
  const next = new Map(held.value);
  for (const one of cases) next.set(one.id, one);
  held.value = next;
}

async function load(): Promise<void> {
  try {
    const all: Case[] = [];
    for (let after: string | null = ""; after !== null;) {
      const found: { cases: Case[]; next: string | null } = await get(`cases?state=open&limit=500${after ? `&after=${encodeURIComponent(after)}` : ""}`);
      all.push(...found.cases);
      after = found.next || null;
    }
    held.value = new Map(all.map((one) => [one.id, one]));
    whole.value = true;
    trouble.value = null;
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal(0, String(error));
    trouble.value = refusal;
    if (refusal.status === 404) whole.value = null;
  }
}

/** Keep the open cases at hand while a component that shows them stands on the page. */
export function useOpenCases(): void {
  useEffect(() => {
    if (followers++ === 0) {
      let before = "";
      leave = link.subscribe((state) => {
        if (state === "live" && before !== "live" && before !== "stale") void load();
        before = state;
      });
    }
    return () => { if (--followers === 0) leave(); };
  }, []);
}

/** One case by its id, open or not; `absent` where the gateway has none of that id. */
export function useCase(id: string): { found: Case | null; refusal: Refusal | null } {
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const live = link.value === "live";
  useEffect(() => {
    if (!id || !live) return;
    let mine = true;
    get<Case>(`cases/${part(id)}`).then(
      (one) => { if (mine) { setRefusal(null); put([one]); } },
      (error: unknown) => { if (mine) setRefusal(error instanceof Refusal ? error : new Refusal(0, String(error))); },
    );
    return () => { mine = false; };
  }, [id, live]);
  return { found: held.value.get(id) ?? null, refusal };
}

/** When a step was done, or null. */
export const doneAt = (one: Case, step: Step): string | null =>
  ({ acknowledge: one.received_at, dispatch: one.dispatched_at, arrive: one.arrived_at, close: one.closed_at })[step];

/** Milliseconds left for a step (negative: overdue by so much); null where it has no limit or is done. */
export function leftMs(one: Case, step: Step): number | null {
  const until = one.due[step];
  return until && !doneAt(one, step) && one.state !== "closed" ? Date.parse(until) - now.value : null;
}

/** The step that is due next, by its limit; the first undone one where none has a limit. */
export function nextStep(one: Case): Step {
  return STEPS.find((step) => !doneAt(one, step)) ?? "close";
}

/** The undone step whose limit is nearest or has passed longest, or null where none has one. */
export function pressing(one: Case): { step: Step; left: number } | null {
  let worst: { step: Step; left: number } | null = null;
  for (const step of STEPS) {
    const left = leftMs(one, step);
    if (left !== null && (!worst || left < worst.left)) worst = { step, left };
  }
  return worst;
}

function byUrgency(a: Case, b: Case): number {
  return a.priority - b.priority || b.opened_at.localeCompare(a.opened_at);
}
