// What every part of the page looks like.
import type { ComponentChildren } from "preact";

/** A part of the page with its heading. */
export function Part({ title, told, wide = false, children }: { title: string; told?: ComponentChildren; wide?: boolean; children: ComponentChildren }) {
  return <section class={wide ? "pane sys-part sys-wide" : "pane sys-part"} aria-label={title}><header><h2>{title}</h2>{told && <span class="dim">{told}</span>}</header>{children}</section>;
}

/** A count with narrow gaps between thousands. */
export const count = (n: number): string => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
