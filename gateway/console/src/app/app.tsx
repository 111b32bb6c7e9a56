import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useSignalEffect } from "@preact/signals";
import { flood, trusted } from "../live/state";
import { lazily } from "../parts/lazily";
import { phone } from "../parts/media";
import { Toasts } from "../parts/toast";
import { DoorHost } from "../pages/signin/host";
import { texts } from "../text";
import { asking, helping } from "./asking";
import { Banner, LinkBar } from "./bars";
import { counts, title } from "./counts";
import { Header, hush, Tabs, words as headerWords } from "./header";
import { bind } from "./keys";
import { FIRST, LATER, type Page } from "./pages";
import { route } from "./route";
import "./shell.css";

const words = texts({
  en: { skip: "To the content", said: (all: string) => `Unacknowledged alarms: ${all}`, none: "No unacknowledged alarms", missing: "This page could not be loaded.", again: "Load again" },
  zh: { skip: "跳到内容", said: (all: string) => `未确认报警：${all}`, none: "无未确认报警", missing: "页面未能加载。", again: "重新加载" },
});

const HandoverStrip = lazily<object>(() => import("../pages/handover/strip").then((found) => found.HandoverStrip));
const FloodStrip = lazily<object>(() => import("./flood").then((found) => found.FloodStrip), "shell-flood");

/** The whole page: header, bars, and the page that the address names. */
export function App() {
  const { page, rest, query } = route.value;
  const { Shown, failed } = usePage(page);
  const wall = page === "wall";
  useEffect(() => bind({ m: () => void hush().catch(() => undefined), "?": () => { helping.value = true; }, "/": () => document.querySelector<HTMLElement>("[data-filter]")?.focus() }), []);
  useSignalEffect(() => { document.title = title.value; });
  return (
    <div class={`shell${wall ? " shell-wall" : ""}`}>
      {!wall && <a class="shell-skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>{words().skip}</a>}
      {!wall && <Header />}
      <LinkBar />
      {!wall && <Banner />}
      {!wall && flood.value.active && <FloodStrip />}
      {!wall && <HandoverStrip />}
      <main id="main" class={`shell-main shell-main-${page}`} tabIndex={-1}>
        {Shown ? <Shown rest={rest} query={query} /> : failed && <div class="empty"><strong>{words().missing}</strong><button type="button" onClick={() => location.reload()}>{words().again}</button></div>}
      </main>
      {!wall && phone.value && <nav class="shell-tabs" aria-label={headerWords().pages}><Tabs /></nav>}
      <Told />
      <Toasts />
      <DoorHost />
      <Later when={asking.value !== null} load={() => import("./order_dialog")} />
      <Later when={helping.value} load={() => import("./help")} />
    </div>
  );
}

/** Says how many, politely and not more than every few seconds: values would never be quiet. */
function Told() {
  const [said, say] = useState("");
  const all = counts.value.filter(({ unacked }) => unacked > 0).map(({ priority, unacked }) => `${priority}: ${unacked}`).join(", ");
  const text = all ? words().said(all) : trusted.value ? words().none : "";
  useEffect(() => {
    const timer = setTimeout(() => say(text), 1500);
    return () => clearTimeout(timer);
  }, [text]);
  return <div class="hidden-text" role="status" aria-live="polite">{said}</div>;
}

function Later({ when, load }: { when: boolean; load: () => Promise<{ default: ComponentType }> }) {
  const [Shown, setShown] = useState<ComponentType | null>(null);
  // Loaded ahead, while nothing presses: the dialog of an acknowledgement must not wait for a file.
  useEffect(() => {
    const timer = setTimeout(() => void load().then((found) => setShown(() => found.default)).catch(() => undefined), when ? 0 : 1500);
    return () => clearTimeout(timer);
  }, [when]);
  return when && Shown ? <Shown /> : null;
}

function usePage(name: string): { Shown: Page | null; failed: boolean } {
  const [later, setLater] = useState<Record<string, Page>>({});
  const [failed, setFailed] = useState("");
  const load = LATER[name];
  useEffect(() => {
    if (load && !later[name]) void load().then((found) => setLater((all) => ({ ...all, [name]: found.default }))).catch(() => setFailed(name));
  }, [name]);
  return { Shown: FIRST[name] ?? later[name] ?? (load ? null : FIRST["now"]!), failed: failed === name };
}
