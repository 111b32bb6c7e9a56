// What must not be overlooked, above every page: a link that cannot be trusted, and the foremost alarm.
import { lastTime, link, now, skew, trusted, unacked } from "../live/state";
import type { Alarm } from "../live/types";
import { Icon } from "../parts/icon";
import { Mark } from "../parts/mark";
import { canOrder } from "../parts/order";
import { Age, clock, spoken } from "../parts/time";
import { about, isSystem, limitText, phoneOf, responseOf, shownValue, side } from "../parts/words";
import { texts } from "../text";
import { ask } from "./asking";
import { foremost } from "./counts";
import { go } from "./route";
import { select } from "./selection";

const words = texts({
  en: {
    stale: (age: string) => `Data is stale: nothing received for ${age}. Values may have changed.`,
    lost: (at: string) => `Disconnected from the gateway · last data ${at}. What is shown may be out of date: look at the controllers on site.`,
    never: "never", skew: (s: string) => `This computer's clock differs from the gateway's by ${s}. All times here are the gateway's.`,
    acknowledge: "Acknowledge", more: (n: string) => `+${n} more`, first: "first-out", test: "TEST",
  },
  zh: {
    stale: (age: string) => `数据陈旧：${age}未收到数据，数值可能已变化。`,
    lost: (at: string) => `与网关断开 · 最后数据 ${at}，页面内容可能已过时，请查看现场控制器。`,
    never: "无", skew: (s: string) => `本机时钟与网关相差 ${s}。页面时间均为网关时间。`,
    acknowledge: "确认", more: (n: string) => `另有 ${n} 条`, first: "首发", test: "测试",
  },
});
const SKEW_MS = 5000;

export function LinkBar() {
  const t = words();
  const state = link.value;
  if (state === "lost") return <div class="shell-lost" role="alert"><Icon name="alert" size={20} />{t.lost(lastTime.value ? clock(lastTime.value) : t.never)}</div>;
  if (state === "stale") return <div class="shell-lost" role="alert"><Icon name="alert" size={20} />{t.stale(spoken(now.value - Date.parse(lastTime.value)))}</div>;
  if (state === "live" && Math.abs(skew.value) > SKEW_MS) return <div class="shell-note"><Icon name="clock" size={16} />{t.skew(spoken(Math.abs(skew.value)))}</div>;
  return null;
}

/** The most urgent alarm that nobody has acknowledged: what, where, how bad, since when, and what to do. */
export function Banner({ controls = true }: { controls?: boolean }) {
  const t = words();
  const alarm = foremost.value;
  if (!alarm || !trusted.value) return null;
  const said = about(alarm);
  const others = unacked.value.length - 1;
  const response = responseOf(alarm);
  const call = phoneOf(alarm.area);
  const show = (): void => { select(alarm.id); go("now"); };
  return (
    <section class={`shell-banner shell-banner-${alarm.priority}`} aria-label={said.what}>
      <Mark priority={alarm.priority} level={alarm.level} size={36} />
      <div class="grow shell-banner-text">
        <button type="button" class="shell-banner-show" onClick={show}>
          <b>{said.what}</b><span class="shell-banner-where">{said.where}</span>{!isSystem(alarm) && <span class="shell-banner-sub">{said.sub}</span>}
        </button>
        <div class="shell-banner-facts">
          <Figure alarm={alarm} />
          {alarm.raised_at && <span>{clock(alarm.raised_at)} · <Age since={alarm.raised_at} /></span>}
          {alarm.first && <span class="chip">{t.first}</span>}{alarm.test && <span class="chip">{t.test}</span>}
          {response && <span class="shell-banner-do">{response}</span>}
          {call && <a class="shell-banner-call" href={`tel:${call.replace(/\s/g, "")}`}><Icon name="phone" size={16} />{call}</a>}
        </div>
      </div>
      {others > 0 && <span class="shell-banner-more">{t.more(String(others))}</span>}
      {controls && <button type="button" class="shell-banner-ack" disabled={!canOrder()} onClick={() => ask("acknowledge", [alarm.id])}>{t.acknowledge}</button>}
    </section>
  );
}

function Figure({ alarm }: { alarm: Alarm }) {
  const { text } = shownValue(alarm);
  const limit = limitText(alarm);
  return text ? <span class="shell-banner-figure"><b>{text}</b> {alarm.unit}{limit && ` ${side(alarm)} ${limit}`}</span> : null;
}
