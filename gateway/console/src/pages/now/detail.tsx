// All that is known of one alarm, and what to do about it.
import { ask } from "../../app/asking";
import { href } from "../../app/route";
import { select } from "../../app/selection";
import { isAside, isUnacked, tick } from "../../live/state";
import type { Alarm } from "../../live/types";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { canOrder, may } from "../../parts/order";
import { Age, clock, Left, moment } from "../../parts/time";
import { about, alarmOf, GONE, levelWord, limitText, phoneOf, qualityWord, responseOf, shownValue, side, stateWord } from "../../parts/words";
import { Act } from "./list";
import { LazySteps, LazyTrend } from "./lazy_parts";
import { turnFrom } from "./model";
import { words } from "./side_words";

export function Detail({ alarm, controls = true }: { alarm: Alarm; controls?: boolean }) {
  const t = words();
  const said = about(alarm);
  void tick.value;
  // Whoever works here has chosen this alarm: a more urgent one must not take the form away under their hands.
  const stay = controls ? (): void => select(alarm.id) : undefined;
  return (
    <section class="now-detail pane" aria-label={t.detail} onClickCapture={stay} onInput={stay}>
      <div class="now-detail-body">
        <header class="now-detail-head">
          <Mark priority={alarm.priority} level={alarm.level} size={32} hollow={alarm.condition === "normal"} />
          <div class="grow">
            <h2>{said.what} · {said.where}</h2>
            <p class="dim">{alarm.channel ? <a href={href("point", alarm.channel)}>{said.sub}</a> : said.sub}</p>
          </div>
          <Figure alarm={alarm} />
        </header>
        <Signs alarm={alarm} />
        {alarm.channel && said.why && said.why !== said.sub && <p class="now-why">{said.why}</p>}
        <What alarm={alarm} />
        {alarm.channel && <LazyTrend key={`${alarm.id} ${alarm.raised_at}`} channel={alarm.channel} {...(alarm.raised_at ? { around: alarm.raised_at } : {})} height={150} />}
        <Who alarm={alarm} />
      </div>
      {controls && <Acts alarm={alarm} />}
    </section>
  );
}

function Acts({ alarm }: { alarm: Alarm }) {
  const t = words();
  const orders = canOrder();
  return (
      <div class="now-detail-acts">
        <Act alarm={alarm} big />
        {!isAside(alarm) && may("operator") && <button type="button" disabled={!orders} onClick={() => ask("shelve", [alarm.id], () => turnFrom(alarm.id))}>{t.shelve}<kbd>S</kbd></button>}
        {alarm.state !== "out_of_service" && may("engineer") && <button type="button" disabled={!orders} onClick={() => ask("out-of-service", [alarm.id], () => turnFrom(alarm.id))}>{t.out}</button>}
        <span class="grow" />
        {alarm.channel && <a class="button quiet" href={href("point", alarm.channel)}>{t.point}<kbd>O</kbd></a>}
        <a class="button quiet" href={href("journal", "", { alarm: alarm.id })}>{t.journal}</a>
      </div>
  );
}

function Figure({ alarm }: { alarm: Alarm }) {
  const { text, quality } = shownValue(alarm);
  const limit = limitText(alarm);
  if (!text) return null;
  return (
    <div class="now-big">
      <span><b class={text === GONE ? "gone" : ""}>{text}</b> {alarm.unit}</span>
      <small>{quality && quality !== "good" ? qualityWord(quality) : limit && `${alarm.level === "warning" ? words().limit : side(alarm)} ${limit} ${alarm.unit}`}</small>
    </div>
  );
}

function Signs({ alarm }: { alarm: Alarm }) {
  const t = words();
  const before = alarm.follows ? alarmOf(alarm.follows) : undefined;
  return (
    <p class="row wrap now-signs">
      <span class={`chip${isUnacked(alarm) ? " strong" : ""}`}>{stateWord(alarm.state)}</span>
      {alarm.raised_at && <span>{clock(alarm.raised_at)} · <Age since={alarm.raised_at} /></span>}
      {alarm.first && <span class="chip strong">{t.first}</span>}{before && <span class="chip">{t.followsFirst(about(before).what)}</span>}
      {alarm.test && <span class="chip warn">{t.test}</span>}{alarm.delayed && <span class="chip">{t.delayed}</span>}
      {alarm.latching && <span class="chip">{t.latching}</span>}{alarm.occurrence > 1 && <span class="chip">{t.occurrence(String(alarm.occurrence))}</span>}
      {alarm.condition !== alarm.level && <span class="dim">{t.condition}: {levelWord(alarm.condition)}</span>}
    </p>
  );
}

function What({ alarm }: { alarm: Alarm }) {
  const t = words();
  const response = responseOf(alarm);
  const call = phoneOf(alarm.area);
  if (!response && !call) return null;
  return (
    <div class="now-do">
      <div class="grow"><small class="dim">{t.doNow}</small><p>{response}</p></div>
      {call && <a class="button" href={`tel:${call.replace(/\s/g, "")}`}><Icon name="phone" />{call}</a>}
    </div>
  );
}

function Who({ alarm }: { alarm: Alarm }) {
  const t = words();
  return (
    <>
      {alarm.acked_by && <p class="row"><Icon name="user" size={16} />{t.acked(alarm.acked_by, alarm.acked_at ? clock(alarm.acked_at) : "")}</p>}
      {isAside(alarm) && (
        <dl class="facts">
          {alarm.until && <><dt>{stateWord(alarm.state)}</dt><dd>{t.shelvedUntil(moment(alarm.until).slice(0, 16))} · <Left until={alarm.until} /></dd></>}
          {alarm.permit && <><dt>{t.permit}</dt><dd>{alarm.permit}</dd></>}
          {alarm.suppressed_by && <><dt>{t.suppressedBy}</dt><dd>{alarm.suppressed_by}</dd></>}
          {alarm.why && <><dt>{t.reason}</dt><dd>{about(alarm).why}{alarm.who && ` (${alarm.who})`}</dd></>}
        </dl>
      )}
      {alarm.case && <LazySteps key={String(alarm.case)} id={String(alarm.case)} compact />}
    </>
  );
}
