// What the screen is like.
import { type ReadonlySignal, signal } from "@preact/signals";

function media(query: string): ReadonlySignal<boolean> {
  const list = matchMedia(query);
  const found = signal(list.matches);
  list.addEventListener("change", () => { found.value = list.matches; });
  return found;
}

export const phone = media("(max-width: 760px)");
export const coarse = media("(pointer: coarse)");
export const dark = media("(prefers-color-scheme: dark)");
/** A row of a long list, in px: what a finger can hit, or what an eye can read. */
export const rowHeight = (): number => (coarse.value ? 48 : 40);
