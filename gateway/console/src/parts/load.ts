// What a page asks of the gateway beside the live stream, kept fresh while the page is open.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, Refusal, session } from "../api";
import { link } from "../live/state";

export interface Loaded<T> {
  /** The newest answer, also while a newer one is on its way or was refused. */
  data: T | null;
  /** Why the last question went unanswered, null where it was answered. */
  refusal: Refusal | null;
  /** This gateway has no such thing (404). */
  absent: boolean;
  /** Nothing has been answered yet. */
  waiting: boolean;
  again: () => void;
}

/**
 * Ask for `path` (null: for nothing), then again every `everyMs` while the page is looked at, when the link is back and
 * when somebody else has signed in. An answer of another path is never shown.
 */
export function useLoad<T>(path: string | null, everyMs = 0): Loaded<T> {
  const [found, setFound] = useState<{ path: string | null; data: T | null; refusal: Refusal | null }>({ path, data: null, refusal: null });
  const turn = useRef(0);
  const live = link.value === "live" || link.value === "waiting";
  const who = session.value.name;

  const ask = (): void => {
    if (path === null) return;
    const mine = ++turn.current;
    get<T>(path).then(
      (data) => { if (mine === turn.current) setFound({ path, data, refusal: null }); },
      (error: unknown) => {
        if (mine !== turn.current) return;
        const refusal = error instanceof Refusal ? error : new Refusal(0, String(error));
        setFound((old) => ({ path, data: old.path === path ? old.data : null, refusal }));
      },
    );
  };
  useEffect(() => {
    ask();
    const timer = everyMs ? setInterval(() => { if (!document.hidden) ask(); }, everyMs) : undefined;
    return () => { turn.current++; clearInterval(timer); };
  }, [path, everyMs, live, who]);

  const mine = found.path === path;
  const refusal = mine ? found.refusal : null;
  const data = mine ? found.data : null;
  return { data, refusal, absent: refusal?.status === 404, waiting: data === null && refusal === null, again: ask };
}
