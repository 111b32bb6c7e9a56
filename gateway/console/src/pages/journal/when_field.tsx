// A field for a time: 24 hours, in the site's time zone. The browser's own field shows what its language thinks best.
import { useEffect, useState } from "preact/hooks";
import { typed } from "./when";

/** `put` is called with what is a time only; what is none is marked. */
export function WhenField({ label, value, put, first = false }: { label: string; value: string; put: (text: string) => void; first?: boolean }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const bad = text !== "" && !Number.isFinite(typed(text));
  return <input class="when" aria-label={label} aria-invalid={bad} value={text} placeholder="2026-01-31 23:59" maxLength={19} autocomplete="off" spellcheck={false} {...(first ? { "data-first": true } : {})}
    onInput={(e) => { const now = e.currentTarget.value; setText(now); if (Number.isFinite(typed(now))) put(now); }} />;
}
