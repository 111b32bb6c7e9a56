// Night and day: as the computer says, or as the person at this browser says.
import { effect, signal } from "@preact/signals";
import { dark } from "../parts/media";

export type Look = "auto" | "night" | "day";
const kept = (() => { try { return localStorage.getItem("look"); } catch { return null; } })();
export const look = signal<Look>(kept === "night" || kept === "day" ? kept : "auto");

export function wear(next: Look): void {
  look.value = next;
  try { localStorage.setItem("look", next); } catch { /* shown all the same */ }
}

effect(() => {
  const day = look.value === "day" || (look.value === "auto" && !dark.value);
  document.documentElement.dataset["look"] = day ? "day" : "night";
});
