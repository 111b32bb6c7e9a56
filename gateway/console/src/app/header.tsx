// The one row that every page has: pages, how many alarms of which level, sound, link, person.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../api";
import { lastTime, link, now, site, siteName } from "../live/state";
import { silence } from "../live/orders";
import { Icon, type IconName } from "../parts/icon";
import { Mark } from "../parts/mark";
import { lazily } from "../parts/lazily";
import { phone } from "../parts/media";
import { canOrder, useOrder } from "../parts/order";
import { hours } from "../parts/time";
import { either, texts } from "../text";
import { aside, counts } from "./counts";
import { href, route } from "./route";
import { hushed, loudest, offline, sound, turn } from "./sound";
import { filterLevel, level } from "../pages/now/model";

export const words = texts({
  en: {
    now: "Now", channels: "Channels", journal: "Journal", handover: "Handover", system: "System", pages: "Pages", unacked: "unacknowledged", open: "open",
    aside: (s: string, o: string, u: string) => `Put aside: ${s} shelved, ${o} out of service, ${u} suppressed`,
    on: "Sound on", off: "Sound off", blocked: "Turn sound on", silence: "Silence",
    live: "live", stale: "stale", lost: "offline", waiting: "connecting",
  },
  zh: {
    now: "值守", channels: "测点", journal: "日志", handover: "交接班", system: "系统", pages: "页面", unacked: "未确认", open: "未结束",
    aside: (s: string, o: string, u: string) => `不在列表：搁置 ${s}，停用 ${o}，抑制 ${u}`,
    on: "声音开", off: "声音关", blocked: "点此启用报警声", silence: "消音",
    live: "在线", stale: "陈旧", lost: "离线", waiting: "连接中",
  },
});

export const TABS: readonly { page: "now" | "channels" | "journal" | "handover" | "system"; icon: IconName }[] = [
  { page: "now", icon: "now" }, { page: "channels", icon: "list" }, { page: "journal", icon: "journal" }, { page: "handover", icon: "shift" }, { page: "system", icon: "system" },
];
const ON_TAB: Record<string, string> = { point: "channels", instrument: "channels", case: "journal", statistics: "system", commissioning: "system", people: "system" };
const Person = lazily<object>(() => import("./person").then((found) => found.Person), "shell-person");
/** How many stores, uplinks and notifiers do not deliver; asked now and then. */
const down = signal(0);
const ASK_MS = 10_000;

export function Header() {
  return (
    <header class="shell-head">
      <a class="shell-title" href={href("now")}><span class="clip">{either(site.value?.name || siteName.value, site.value?.name_zh)}</span></a>
      <nav class="shell-nav" aria-label={words().pages}>{!phone.value && <Tabs />}</nav>
      <Counts />
      <Sound />
      <Silence />
      <Link />
      <Person />
    </header>
  );
}

/** The five pages, in the header or at the foot of a phone. */
export function Tabs() {
  const t = words();
  const on = ON_TAB[route.value.page] ?? route.value.page;
  useDown();
  return (
    <>{TABS.map(({ page, icon }) => (
      <a key={page} class="shell-tab" href={href(page)} aria-current={on === page ? "page" : undefined}>
        {phone.value && <Icon name={icon} size={22} />}<span>{t[page]}</span>
        {page === "system" && down.value > 0 && <span class="shell-badge">{down.value}</span>}
      </a>
    ))}</>
  );
}

function useDown(): void {
  useEffect(() => {
    const ask = (): void => {
      if (document.hidden || link.value !== "live") return;
      void get<{ uplinks: { up: boolean }[] }>("uplinks").then(({ uplinks }) => { down.value = uplinks.filter(({ up }) => !up).length; }).catch(() => undefined);
    };
    const timer = setInterval(ask, ASK_MS);
    setTimeout(ask, 1000);
    return () => clearInterval(timer);
  }, []);
}

/** Unacknowledged of open alarms by priority; a press filters the list. */
function Counts() {
  const t = words();
  const put = aside.value;
  const lost = link.value === "lost" || link.value === "waiting";
  return (
    <div class="shell-counts" title={t.aside(String(put.shelved), String(put.out_of_service), String(put.suppressed))}>
      {counts.value.map(({ priority, unacked, open }) => (
        <button key={priority} type="button" class={`shell-count${unacked ? " shell-count-new" : ""}${open ? "" : " shell-count-none"}`} aria-pressed={level.value === priority} onClick={() => filterLevel(priority)}>
          <Mark priority={priority} size={20} /><b>{lost ? "—" : phone.value && unacked > 99 ? "99+" : unacked}</b><small>/{lost ? "—" : open}</small><span class="hidden-text">{t.unacked}/{t.open}</span>
        </button>
      ))}
    </div>
  );
}

function Sound() {
  const t = words();
  const state = sound.value;
  return (
    <button type="button" class={`shell-sound shell-sound-${state}`} aria-label={t[state]} title={t[state]} onClick={turn}>
      <Icon name={state === "on" ? "sound" : "mute"} />{state !== "on" && <span class="shell-word">{t[state]}</span>}
    </button>
  );
}

/** Ends the present sound at every place; a new alarm or a rise of level begins it again. */
export async function hush(): Promise<void> {
  if (offline.value) hushed.value = true;
  else await silence();
}

function Silence() {
  const t = words();
  const { busy, give, refused } = useOrder();
  const sounding = loudest.value > 0 && !offline.value;
  const can = offline.value ? !hushed.value : sounding && canOrder();
  return (
    <button type="button" class={`shell-silence${sounding ? " shell-silence-on" : ""}`} disabled={busy || !can} title={refused || `${t.silence} (M)`} aria-label={t.silence} onClick={() => void give(hush)}>
      <Icon name="quiet" /><span class="shell-word">{t.silence}</span>
    </button>
  );
}

function Link() {
  const t = words();
  const state = link.value;
  const at = state === "live" || state === "stale" ? now.value : lastTime.value ? Date.parse(lastTime.value) : 0;
  return (
    <div class={`shell-link shell-link-${state}`} role="status" aria-label={t[state]}>
      <Icon name={state === "live" ? "link" : "cut"} size={16} /><span class="shell-word">{t[state]}</span>
      <span class="shell-clock">{at ? hours(at) : "--:--:--"}</span>
    </div>
  );
}
