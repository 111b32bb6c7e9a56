// On every page: a shift was signed over and nobody has accepted it yet.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../api";
import { href, route } from "../../app/route";
import { link, onEvent } from "../../live/state";
import { Icon } from "../../parts/icon";
import { Age } from "../../parts/time";
import { either, texts } from "../../text";
import type { Handed } from "./types";
import "./strip.css";

const t = texts({
  en: { by: (shift: string, who: string) => `Shift ${shift} was signed over by ${who} and waits to be accepted`, ago: "for", see: "Read and accept" },
  zh: { by: (shift: string, who: string) => `${shift}已由 ${who} 交班，等待接班确认`, ago: "已等待", see: "查看并接班" },
});

/** The handover that waits, null where none does, as the gateway last said it. */
export const waiting = signal<Handed | null>(null);
let asking = 0;

/** Ask again whether a handover waits; at a gateway that keeps none, none ever does. */
export async function lookAtHandover(): Promise<void> {
  const mine = ++asking;
  const found = await get<{ handovers: Handed[] }>("handovers?limit=1").catch(() => undefined);
  if (found === undefined || mine !== asking) return;
  const last = found.handovers[0];
  waiting.value = last && !last.accepted && !last.superseded ? last : null;
}

/** Stands under the banner. */
export function HandoverStrip() {
  const words = t();
  useEffect(() => {
    let before = "";
    const followed = link.subscribe((state) => {
      if (state === "live" && before !== "live" && before !== "stale") void lookAtHandover();
      before = state;
    });
    const told = onEvent((event) => { if (event.kind === "handover") void lookAtHandover(); });
    return () => { followed(); told(); };
  }, []);
  const one = waiting.value;
  if (!one || route.value.page === "handover") return null;
  return (
    <aside class="handover-strip" aria-label={words.see}>
      <Icon name="shift" />
      <span class="grow">{words.by(either(one.shift.name, one.shift.name_zh), one.signed.by)}<span class="dim"> · {words.ago} <Age since={one.signed.at} /></span></span>
      <a class="button" href={href("handover", one.id)}>{words.see}</a>
    </aside>
  );
}
