// The journal by pages, newest first, and what comes meanwhile on top of it.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, Refusal, session } from "../../api";
import { link, onEvent } from "../../live/state";
import type { AlarmEvent } from "../../live/types";

export interface Filter { kinds: readonly string[]; area: string; who: string; q: string; alarm: string; start: number; end: number }
export interface Pages { events: AlarmEvent[]; /** Came while the reader was further down. */ fresh: number; more: boolean; busy: boolean; refusal: Refusal | null; fetchMore: () => void; seen: () => void }

const PAGE = 200;
const KEPT_MAX = 20_000;
/** A search for words looks through part of the journal at a time; so many parts without a find, then a person says to go on. */
const EMPTY_MAX = 20;

function asked(filter: Filter, after: number): string {
  const query = new URLSearchParams({ newest_first: "true", limit: String(PAGE) });
  if (after) query.set("after", String(after));
  for (const kind of filter.kinds) query.append("kind", kind);
  for (const name of ["area", "who", "q", "alarm"] as const) if (filter[name]) query.set(name, filter[name]);
  if (filter.start) query.set("start", new Date(filter.start).toISOString());
  if (filter.end) query.set("end", new Date(filter.end).toISOString());
  return `events?${query.toString()}`;
}

/** Whether a new event is one of those asked for, as the gateway would say. */
function fits(filter: Filter, event: AlarmEvent): boolean {
  const at = Date.parse(event.time);
  if ((filter.start && at < filter.start) || (filter.end && at >= filter.end)) return false;
  if (filter.kinds.length && !filter.kinds.includes(event.kind)) return false;
  if ((filter.area && event.area !== filter.area) || (filter.who && event.who !== filter.who) || (filter.alarm && event.alarm !== filter.alarm)) return false;
  const words = [event.alarm, event.channel, event.instrument, event.area, event.who, event.why, event.why_zh, event.case?.title, event.case?.note].join(" ").toLowerCase();
  return !filter.q || words.includes(filter.q.toLowerCase());
}

export function usePages(filter: Filter, atTop: () => boolean): Pages {
  const [state, set] = useState<{ events: AlarmEvent[]; fresh: number; next: number | null; busy: boolean; refusal: Refusal | null }>({ events: [], fresh: 0, next: 0, busy: true, refusal: null });
  const key = JSON.stringify(filter);
  const turn = useRef(0);
  const load = useCallback((after: number, empty = 0) => {
    const mine = after ? turn.current : ++turn.current;
    set((now) => ({ ...now, busy: true, refusal: null, ...(after ? {} : { fresh: 0 }) }));
    get<{ events: AlarmEvent[]; next: number | null }>(asked(filter, after)).then(
      (found) => {
        if (mine !== turn.current) return;
        set((now) => {
          const events = after ? [...now.events, ...found.events] : found.events;
          if (found.next && !found.events.length && empty < EMPTY_MAX) { queueMicrotask(() => load(found.next!, empty + 1)); return { ...now, next: found.next }; }
          return { ...now, events, next: events.length >= KEPT_MAX ? null : found.next, busy: false };
        });
      },
      (error: unknown) => { if (mine === turn.current) set((now) => ({ ...now, busy: false, refusal: error instanceof Refusal ? error : new Refusal(0, String(error)), next: null })); },
    );
  }, [key]);
  const reached = link.value !== "lost";
  useEffect(() => { set((now) => ({ ...now, events: [] })); load(0); }, [key]);
  useEffect(() => { if (reached) load(0); }, [reached, session.value.name]);
  useEffect(() => onEvent((event) => {
    if (!fits(filter, event)) return;
    set((now) => (now.events[0] && event.seq <= now.events[0].seq ? now : { ...now, events: [event, ...now.events], fresh: atTop() ? 0 : now.fresh + 1 }));
  }), [key]);
  return {
    ...state, more: state.next !== null && state.next !== 0,
    fetchMore: () => { if (!state.busy && state.next) load(state.next); },
    seen: () => set((now) => ({ ...now, fresh: 0 })),
  };
}
