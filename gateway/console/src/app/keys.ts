// The keyboard: one letter an order. Never while somebody types, nor while a dialog asks something.
import { asking, helping } from "./asking";
import { go } from "./route";

type Keys = Record<string, (event: KeyboardEvent) => void>;
const layers: Keys[] = [];
const PLACES: Record<string, string> = { n: "now", c: "channels", j: "journal", h: "handover", s: "system", w: "wall" };
const SEQUENCE_MS = 1500;
let going = -Infinity;

/** Take keys (`a`, `A` with shift, `ArrowDown`, `/`) until the returned function is called; who comes later goes first. */
export function bind(keys: Keys): () => void {
  layers.unshift(keys);
  return () => { layers.splice(layers.indexOf(keys), 1); };
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && (target as HTMLInputElement).type !== "checkbox");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  // Also while a dialog is only on its way: what is typed for it must not be taken for orders.
  if (asking.peek() || helping.peek() || document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") (event.target as HTMLElement).blur();
    return;
  }
  if (performance.now() - going < SEQUENCE_MS && PLACES[event.key]) {
    going = -Infinity;
    go(PLACES[event.key]!);
    return;
  }
  if (event.key === "g") { going = performance.now(); return; }
  // Enter and space press what has the focus.
  const order = layers.find((keys) => keys[event.key])?.[event.key];
  if (!order) return;
  event.preventDefault();
  order(event);
});
