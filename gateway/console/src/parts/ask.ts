// A question to the gateway whose answer a page shows: fetched, fetched again, and never pretended.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, Refusal, session } from "../api";
import { link } from "../live/state";

export interface Asked<T> {
  /** The last good answer; null before the first. */ data: T | null;
  /** Why the newest question failed; status 404: this gateway does not have it. */ refusal: Refusal | null;
  /** Ask again now. */ again: () => void;
}

/** Ask for `path` (null: do not), again whenever it changes, every `everyMs` where given, when the link is back and when another person signs in. */
export function useAsk<T>(path: string | null, everyMs = 0): Asked<T> {
  const [data, setData] = useState<T | null>(null);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const asked = useRef(0);
  const again = useCallback(() => {
    const mine = ++asked.current;
    if (path === null) return;
    get<T>(path).then(
      (found) => { if (mine === asked.current) { setData(found); setRefusal(null); } },
      (error: unknown) => { if (mine === asked.current) setRefusal(error instanceof Refusal ? error : new Refusal(0, String(error))); },
    );
  }, [path]);
  const reached = link.value !== "lost";
  const who = session.value.name;
  useEffect(() => { setData(null); setRefusal(null); }, [path]);
  useEffect(() => {
    again();
    const timer = everyMs ? setInterval(() => { if (!document.hidden) again(); }, everyMs) : undefined;
    return () => { asked.current++; clearInterval(timer); };
  }, [path, everyMs, reached, who]);
  return { data, refusal, again };
}
