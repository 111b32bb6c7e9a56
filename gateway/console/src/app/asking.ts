// Which order about which alarms is being asked for; the dialog that asks is loaded when it is first needed.
import { signal } from "@preact/signals";
import type { Verb } from "../live/orders";
import { alarms, newest } from "../live/state";
import type { Alarm } from "../live/types";

export interface Asking {
  verb: Verb;
  /** The alarms as they stood when the person pressed: what they have not seen is not acknowledged. */ alarms: Alarm[];
  seen: number;
  done: () => void;
}
export const asking = signal<Asking | null>(null);

/** Ask for what an order needs and give it; `done` is called once the gateway has carried it out. */
export function ask(verb: Verb, ids: readonly string[], done: () => void = () => undefined): void {
  const wanted = new Set(ids);
  const found = alarms.value.filter(({ id }) => wanted.has(id));
  if (found.length) asking.value = { verb, alarms: found, seen: newest.value, done };
}

/** The list of keys is shown. */
export const helping = signal(false);
