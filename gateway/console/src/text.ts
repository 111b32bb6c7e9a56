// Two languages. Each page keeps its own words; the compiler refuses a word that one of the two lacks.
import { signal } from "@preact/signals";

export type Lang = "en" | "zh";

const kept = (() => { try { return localStorage.getItem("lang"); } catch { return null; } })();
export const lang = signal<Lang>(kept === "zh" || kept === "en" ? kept : navigator.language.startsWith("zh") ? "zh" : "en");

export function speak(next: Lang): void {
  lang.value = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  try { localStorage.setItem("lang", next); } catch { /* a browser that keeps nothing still shows it */ }
}

type Word = string | ((...parts: never[]) => string);
type Like<T> = { [K in keyof T]: T[K] extends (...parts: infer P) => string ? (...parts: P) => string : string };

/** Return a function that gives a page's words in the language that is spoken now. */
export function texts<const T extends Record<string, Word>>(words: { en: T; zh: Like<T> }): () => Like<T> {
  return () => words[lang.value] as Like<T>;
}

/** Return the one of two texts of the site file that is to be read now. */
export const either = (en: string, zh: string | undefined): string => (lang.value === "zh" && zh ? zh : en || zh || "");
