// Small signs beside a name, and filters that count.
import type { ComponentChildren } from "preact";

export function Chip({ children, tone = "" }: { children: ComponentChildren; tone?: "" | "strong" | "warn" | "bad" }) {
  return <span class={`chip ${tone}`}>{children}</span>;
}

/** A filter that is on or off; `count` says how many it would show. */
export function FilterChip({ on, onPress, count, children }: { on: boolean; onPress: () => void; count?: number; children: ComponentChildren }) {
  return <button type="button" class="chip-filter" aria-pressed={on} onClick={onPress}>{children}{count !== undefined && <span class="count">{count}</span>}</button>;
}
