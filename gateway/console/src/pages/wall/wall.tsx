// The same as Now for a screen on the wall: larger, without controls, and moving on by itself only while all is calm.
import { useEffect } from "preact/hooks";
import { Banner } from "../../app/bars";
import { counts } from "../../app/counts";
import { FloodStrip } from "../../app/flood";
import { select, selected } from "../../app/selection";
import { lastTime, link, now, open, site, siteName, table, unacked } from "../../live/state";
import { Mark } from "../../parts/mark";
import { hours } from "../../parts/time";
import { either, texts } from "../../text";
import { List } from "../now/list";
import { area, byId, current, level, listed, view } from "../now/model";
import { Empty } from "../now/now";
import { Side } from "../now/side";
import { worst, Tour } from "./tour";
import "../now/now.css";
import "./wall.css";

const words = texts({ en: { live: "live", stale: "stale", lost: "offline", waiting: "connecting" }, zh: { live: "在线", stale: "陈旧", lost: "离线", waiting: "连接中" } });

export default function Wall() {
  const alarm = current.value;
  const calm = open.value.length === 0;
  useEffect(() => { view.value = "open"; area.value = ""; level.value = 0; select(""); }, []);
  // Nobody presses anything here: the most urgent alarm is looked at, always.
  useEffect(() => { const first = worst(listed.value, byId.value); if (first && first !== selected.value) { select(""); selected.value = first; } }, [unacked.value, listed.value]);
  return (
    <div class="wall">
      <header class="wall-head">
        <b class="clip grow">{either(site.value?.name || siteName.value, site.value?.name_zh)}</b>
        {counts.value.map(({ priority, unacked: waiting, open: all }) => <span key={priority} class={`wall-count${all ? "" : " wall-count-none"}`}><Mark priority={priority} size={28} /><b>{waiting}</b><small>/{all}</small></span>)}
        <span class={`shell-link shell-link-${link.value}`}>{words()[link.value]}</span>
        <span class="wall-clock">{link.value === "lost" ? (lastTime.value ? hours(lastTime.value) : "--:--:--") : now.value ? hours(now.value) : "--:--:--"}</span>
      </header>
      <Banner controls={false} />
      <FloodStrip />
      <div class="now wall-body">
        {calm ? (
          <div class="wall-calm"><Empty />{table.value && <Tour />}</div>
        ) : (
          <>
            <div class="now-left"><div class="now-left-body"><List controls={false} /></div></div>
            <Side alarm={alarm} controls={false} />
          </>
        )}
      </div>
    </div>
  );
}
