// The alarms as rows, or as cards on a phone.
import { ask } from "../../app/asking";
import { href } from "../../app/route";
import { chosen, select, selected } from "../../app/selection";
import { isUnacked, isAside, table, tick } from "../../live/state";
import type { Alarm } from "../../live/types";
import { coarse, phone } from "../../parts/media";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { canOrder, may } from "../../parts/order";
import { Age, clock, Left } from "../../parts/time";
import { Virtual } from "../../parts/virtual";
import { about, GONE, limitText, qualityWord, shownValue, side, stateWord } from "../../parts/words";
import { byId, hold, listed, mark, markAll, marks, news, release, takeNews, unmark } from "./model";
import { words } from "./words";

/** Height of a row in px; a card on a phone has two lines and a button for a thumb. */
const height = (): number => (phone.value ? 84 : coarse.value ? 52 : 44);

export function List({ controls = true }: { controls?: boolean }) {
  const t = words();
  const ids = listed.value;
  void tick.value;
  void table.value;
  return (
    <div class={`now-list${controls ? "" : " now-list-wall"}`} onPointerMove={controls ? hold : undefined} onPointerLeave={(e) => { if (e.pointerType === "mouse") release(); }}>
      {!phone.value && <Head controls={controls} />}
      {news.value > 0 && <button type="button" class="now-news" onClick={takeNews}><Icon name="up" size={16} />{t.news(String(news.value))}</button>}
      <Virtual class="now-rows" role="list" label={t.alarms} count={ids.length} height={height()} show={chosen.value ? ids.indexOf(selected.value) : 0} showKey={chosen.value ? selected.value : ""}
        row={(k) => <Row key={ids[k]!} id={ids[k]!} controls={controls} />} />
    </div>
  );
}

function Head({ controls }: { controls: boolean }) {
  const t = words();
  const ids = listed.value;
  const all = marks.value.size > 0 && marks.value.size === ids.length;
  return (
    <div class="now-grid now-head" aria-hidden={!controls}>
      <span>{controls && may("operator") && <input type="checkbox" aria-label={t.markAll} checked={all} indeterminate={marks.value.size > 0 && !all} onChange={() => (marks.value.size ? unmark() : markAll(ids))} />}</span>
      <span /><span>{t.since}</span><span>{t.where}</span><span>{t.what}</span><span class="number">{t.value}</span><span>{t.state}</span><span />
    </div>
  );
}

function Row({ id, controls }: { id: string; controls: boolean }) {
  const t = words();
  const alarm = byId.value.get(id);
  const style = { height: `${height()}px` };
  // Its place stays empty while a hand is over the list: what stood below must not come under the finger.
  if (!alarm) return <div class="now-row now-over dim" role="listitem" style={style}>{t.over}</div>;
  const said = about(alarm);
  const isNew = isUnacked(alarm);
  const calm = alarm.level === "warning";
  const on = selected.value === id;
  const classes = `now-row now-p${alarm.priority}${isNew && !calm ? " now-new" : ""}${alarm.condition === "normal" ? " now-gone" : ""}${isAside(alarm) ? " now-aside" : ""}${on ? " now-on" : ""}`;
  const inside = phone.value ? <Card alarm={alarm} said={said} controls={controls} /> : <Cells alarm={alarm} said={said} controls={controls} />;
  return <div class={classes} role="listitem" aria-current={on ? "true" : undefined} style={style} onClick={() => select(id)}>{inside}</div>;
}

type Said = ReturnType<typeof about>;

function Cells({ alarm, said, controls }: { alarm: Alarm; said: Said; controls: boolean }) {
  const t = words();
  const isNew = isUnacked(alarm);
  return (
    <div class="now-grid">
      <span class="now-check">{controls && may("operator") && <input type="checkbox" aria-label={t.mark(said.what)} checked={marks.value.has(alarm.id)} onClick={(e) => e.stopPropagation()} onChange={() => mark(alarm.id)} />}</span>
      <span><Mark priority={alarm.priority} level={alarm.level} size={24} hollow={alarm.condition === "normal"} flash={isNew && alarm.level !== "warning"} /></span>
      <span class="now-two"><span class="now-time">{clock(alarm.raised_at ?? alarm.time)}</span><small><Age since={alarm.raised_at} /></small></span>
      <span class="now-two"><span class="clip now-where" title={said.where}>{said.where}</span><small class="now-flags"><Flags alarm={alarm} /></small></span>
      <span class="now-two"><span class="clip now-what">{said.what}</span><small class="clip" title={said.sub}>{said.sub}</small></span>
      <Figure alarm={alarm} />
      <State alarm={alarm} />
      <span class="now-act">{controls && <Act alarm={alarm} />}</span>
    </div>
  );
}

function Card({ alarm, said, controls }: { alarm: Alarm; said: Said; controls: boolean }) {
  return (
    <div class="now-card">
      <Mark priority={alarm.priority} level={alarm.level} size={32} hollow={alarm.condition === "normal"} flash={isUnacked(alarm) && alarm.level !== "warning"} />
      <span class="now-two grow"><span class="clip now-what">{said.what} <span class="now-where">{said.where}</span></span><small class="clip">{said.sub}</small>
        <small class="now-flags"><span class="now-time">{clock(alarm.raised_at ?? alarm.time)}</span> <Age since={alarm.raised_at} /> <Flags alarm={alarm} />{!isUnacked(alarm) && <span class="clip">{who(alarm)}</span>}</small></span>
      <Figure alarm={alarm} />
      {controls && <Act alarm={alarm} />}
    </div>
  );
}

function Flags({ alarm }: { alarm: Alarm }) {
  const t = words();
  return (
    <>
      {alarm.first && <b class="now-flag now-first">{t.first}</b>}{!alarm.first && alarm.follows && <span class="now-flag">{t.follows}</span>}
      {alarm.test && <b class="now-flag">{t.test}</b>}{alarm.delayed && <span class="now-flag">{t.delayed}</span>}{alarm.occurrence > 1 && <span class="now-flag">×{alarm.occurrence}</span>}
    </>
  );
}

function Figure({ alarm }: { alarm: Alarm }) {
  const t = words();
  const { text, quality } = shownValue(alarm);
  const limit = limitText(alarm);
  const poor = quality && quality !== "good";
  return (
    <span class="now-two now-figure">
      {text && <span><b class={text === GONE ? "gone" : ""}>{text}</b> {text !== GONE && <small>{alarm.unit}</small>}</span>}
      <small>{poor ? qualityWord(quality) : limit && (alarm.level === "warning" ? `${t.limit} ${limit}` : `${side(alarm)} ${limit}`)}</small>
    </span>
  );
}

function who(alarm: Alarm): string {
  const t = words();
  if (isAside(alarm)) return alarm.suppressed_by ? t.by(alarm.suppressed_by) : alarm.who ? t.by(alarm.who) : "";
  return alarm.acked_by ? `${t.by(alarm.acked_by)}${alarm.acked_at ? ` · ${clock(alarm.acked_at)}` : ""}` : "";
}

function State({ alarm }: { alarm: Alarm }) {
  const t = words();
  return (
    <span class="now-two">
      <span class="clip">{stateWord(alarm.state)}</span>
      <small class="clip">{isAside(alarm) && alarm.until ? <>{t.left} <Left until={alarm.until} /> · {who(alarm)}</> : alarm.silenced && isUnacked(alarm) ? t.silenced : who(alarm)}</small>
    </span>
  );
}

/** The one thing that this alarm waits for. */
export function Act({ alarm, big = false }: { alarm: Alarm; big?: boolean }) {
  const t = words();
  const give = (verb: Parameters<typeof ask>[0]) => (e: Event): void => { e.stopPropagation(); ask(verb, [alarm.id], verb === "acknowledge" ? afterAck : undefined); };
  const off = !canOrder();
  const key = (letter: string) => big && <kbd>{letter}</kbd>;
  if (isUnacked(alarm)) return <button type="button" class="main" disabled={off} title={t.acknowledge} onClick={give("acknowledge")}>{big ? t.acknowledge : t.ack}{key("A")}</button>;
  if (alarm.state === "latched_acked") return <button type="button" disabled={off} onClick={give("reset")}>{t.reset}{key("R")}</button>;
  if (alarm.state === "shelved") return <button type="button" disabled={off} onClick={give("unshelve")}>{t.unshelve}</button>;
  if (alarm.state === "out_of_service") return may("engineer") ? <button type="button" disabled={off} onClick={give("return-to-service")}>{t.back}</button> : null;
  if (alarm.case) return <a class="button quiet" href={href("case", String(alarm.case))} onClick={(e) => e.stopPropagation()}>{t.response}</a>;
  return null;
}

/** Go on to what waits next, as soon as the acknowledgement has come back. */
export function afterAck(): void {
  afterwards.forEach((then) => then());
}
const afterwards: (() => void)[] = [];
export const onAcked = (then: () => void): void => { afterwards.push(then); };
