// The way in: who wants somebody to sign in, and who waits for it. The dialog itself is loaded when it is first needed.
import { computed, signal } from "@preact/signals";
import { locked, Refusal, session } from "../../api";

/** What the door shows: signing in, making the first account, changing the password, or one's own account. */
export type Door = "closed" | "in" | "setup" | "password" | "me";

const asked = signal<Door>("closed");
/** Whoever has to change the password may look at the alarms before; orders will ask again. */
const later = signal(false);
let waiting: ((entered: boolean) => void)[] = [];

/** What is to be shown: what somebody asked for, or what the gateway demands before anything else. */
export const door = computed<Door>(() => {
  if (asked.value !== "closed") return asked.value;
  if (session.value.signed_in && session.value.must_change && !later.value) return "password";
  return locked.value && !session.value.signed_in ? (session.value.setup ? "setup" : "in") : "closed";
});

/** Whether the door may be shut unused: not while the gateway shows nothing to strangers. An alarm is never behind it. */
export const mayLeave = computed(() => !locked.value);

/** Open the door: to one's own account where somebody has signed in, else to sign in (or make the first account). */
export function openDoor(to?: Door): void {
  asked.value = to ?? (session.value.signed_in ? "me" : session.value.setup ? "setup" : "in");
}

/** Shut the door; whoever waits for a person is told that none came. */
export function shutDoor(entered = false): void {
  asked.value = "closed";
  later.value = !entered;
  const told = waiting;
  waiting = [];
  for (const tell of told) tell(entered);
}

/** Ask for a person (or for the password that this one has to change); true once that is done. */
function needPerson(to: Door): Promise<boolean> {
  return new Promise((tell) => { waiting.push(tell); openDoor(to); });
}

/** Carry out an order. Where only a person is missing, sign in and carry it out then, with all that was typed. */
export async function asPerson<T>(order: () => Promise<T>): Promise<T> {
  try {
    return await order();
  } catch (error) {
    const to = doorFor(error);
    // Whoever stands in the door already is not sent to it again.
    if (!to || door.peek() !== "closed" || !(await needPerson(to))) throw error;
    return order();
  }
}

/** The door that a refusal leads to, or null where no door would help. */
function doorFor(error: unknown): Door | null {
  if (!(error instanceof Refusal) || (error.status !== 401 && error.status !== 403)) return null;
  const { signed_in, must_change, setup } = session.value;
  if (signed_in && error.status === 403) return must_change ? "password" : null;
  return error.status === 401 || !setup ? "in" : null;
}
