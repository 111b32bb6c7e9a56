// On every page: a shift was signed over and nobody has accepted it yet.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../api";
import { href } from "../../app/route";
import { link, onEvent } from "../../live/state";
import { Icon } from "../../parts/icon";
import { Age } from "../../parts/time";
import { either, texts } from "../../text";
import type { Signed, Waiting } from "./types";

const t = texts({
  en: { by: (shift: string, who: string) => `Shift ${shift} was signed over by ${who} and waits to be accepted`, ago: "for", see: "Read and accept" },
  zh: { by: (shift: string, who: string) => `${shift}已由 ${who} 交班，等待接班确认`, ago: "已等待", see: "查看并接班" },
});

/** The handover that waits, null where none does, as the gateway last said it. */
export const waiting = signal<Waiting | null>(null);
let asking = 0;

/** Ask again whether a handover waits; one that this gateway does not have never does. */
export async function lookAtHandover(): Promise<void> {
  const mine = ++asking;
  const found = await get<{ waiting: Waiting | null }>("handover?form=waiting").catch(() => undefined);
  if (found !== undefined && mine === asking) waiting.value = found.waiting ?? null;
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
  if (!one) return null;
  const signed: Signed | null = one.signed;
  return (
    <aside class="handover-strip" aria-label={words.see}>
      <Icon name="shift" />
      <span class="grow">{words.by(either(one.shift.name, one.shift.name_zh), signed?.by ?? "")}{signed && <span class="dim"> · {words.ago} <Age since={signed.at} /></span>}</span>
      <a class="button" href={href("handover")}>{words.see}</a>
    </aside>
  );
}
