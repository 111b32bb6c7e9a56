// What a person may order about alarms. The gateway decides; nothing changes here before its event comes.
import { part, post } from "../api";
import type { Alarm, AlarmEvent } from "./types";

export type Verb = "acknowledge" | "reset" | "shelve" | "unshelve" | "out-of-service" | "return-to-service";
export interface Order { why?: string; duration_s?: number; permit?: string }
/** What became of an order about many. */
export interface Done { done: number; refused: { alarm: string; reason: string }[] }

/** Order one thing about alarms as they stood on the screen: `seen` is the newest event that the person had before them. */
export async function order(verb: Verb, alarms: readonly Pick<Alarm, "id" | "seq">[], seen: number, more: Order = {}): Promise<Done> {
  if (alarms.length === 1) {
    const [alarm] = alarms;
    await post<{ events: AlarmEvent[] }>(`alarms/${part(alarm!.id)}/${verb}`, { ...more, seen: alarm!.seq });
    return { done: 1, refused: [] };
  }
  return post<Done>("orders", { verb, alarms: alarms.map(({ id }) => id), seen, ...more });
}

export const silence = (): Promise<unknown> => post("silence");
