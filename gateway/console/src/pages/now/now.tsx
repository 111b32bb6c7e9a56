// What an operator sees first: what is wrong, how bad, where, since when, who is on it, and what to do.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "../../app/asking";
import { bind } from "../../app/keys";
import { go } from "../../app/route";
import { select, selected } from "../../app/selection";
import { get } from "../../api";
import { alarms, isUnacked, lastTime, link, quality, table, tick, trusted } from "../../live/state";
import { FilterChip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { phone } from "../../parts/media";
import { canOrder, may } from "../../parts/order";
import { clock } from "../../parts/time";
import { areaName } from "../../parts/words";
import { Areas } from "./areas";
import { Detail } from "./detail";
import { LazyPlan } from "./lazy";
import { afterAck, List, onAcked } from "./list";
import { area, byId, current, filtered, leftOut, level, listed, mark, marks, move, nextUnacked, show, showAll, sizes, unmark, view, type View } from "./model";
import { words } from "./words";
import "./now.css";

onAcked(nextUnacked);

const VIEWS: readonly View[] = ["open", "faults", "warnings", "shelved", "out_of_service", "suppressed"];
/** Whether the site has drawings; null before anybody has said it. */
const planned = signal<boolean | null>(null);
/** On a phone the detail covers the list, until it is closed. */
const opened = signal(false);

export function Now() {
  const alarm = current.value;
  useEffect(keys, []);
  usePlans();
  const empty = listed.value.length === 0;
  return (
    <div class="now">
      <div class="now-left">
        <Filters />
        {marks.value.size > 0 && <Bulk />}
        <div class="now-left-body" onClick={(e) => { if (phone.value && (e.target as Element).closest(".now-row") && !(e.target as Element).closest("button, a, input")) opened.value = true; }}>
          {empty ? <Empty /> : <List />}
        </div>
      </div>
      {!phone.value && (
        <div class="now-right">
          {planned.value ? <LazyPlan /> : table.value && <Areas />}
          {alarm && <Detail alarm={alarm} />}
        </div>
      )}
      {phone.value && opened.value && alarm && (
        <div class="now-sheet"><button type="button" class="now-sheet-close" aria-label="×" onClick={() => { opened.value = false; }}><Icon name="left" />{words().alarms}</button><Detail alarm={alarm} /></div>
      )}
    </div>
  );
}

function usePlans(): void {
  const ready = table.value !== null;
  useEffect(() => {
    if (ready && planned.value === null) void get<{ plans: unknown[] }>("plans").then(({ plans }) => { planned.value = plans.length > 0; }).catch(() => { planned.value = false; });
  }, [ready]);
}

function keys(): () => void {
  const one = (verb: Parameters<typeof ask>[0], fits: (state: string) => boolean) => (): void => {
    const alarm = current.value;
    if (alarm && canOrder() && fits(alarm.state)) ask(verb, [alarm.id], verb === "acknowledge" ? afterAck : undefined);
  };
  const waits = (state: string): boolean => isUnacked({ state });
  return bind({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), n: nextUnacked,
    x: () => { if (selected.value) mark(selected.value); },
    a: one("acknowledge", waits),
    A: () => { if (marks.value.size) acknowledgeMarked(); },
    r: one("reset", (state) => state === "latched_acked"),
    s: one("shelve", (state) => state !== "shelved" && state !== "out_of_service" && state !== "suppressed"),
    o: () => { if (current.value?.channel) go("point", current.value.channel); },
    Escape: () => { opened.value = false; if (marks.value.size) unmark(); else select(""); },
  });
}

function acknowledgeMarked(): void {
  const ids = [...marks.value].filter((id) => isUnacked(byId.value.get(id)!));
  if (ids.length) ask("acknowledge", ids, () => { unmark(); afterAck(); });
}

function Filters() {
  const t = words();
  const n = sizes.value;
  const hidden = leftOut.value;
  return (
    <div class="now-filters">
      {VIEWS.filter((name) => name === "open" || n[name] > 0 || view.value === name).map((name) => (
        <FilterChip key={name} on={view.value === name} count={n[name]} onPress={() => show(name)}>{name === "faults" && <Mark priority={3} level="fault" size={14} silent />}{t[name]}</FilterChip>
      ))}
      {area.value && <FilterChip on onPress={() => { area.value = ""; }}>{areaName(area.value)} <Icon name="close" size={14} /></FilterChip>}
      {level.value > 0 && <FilterChip on onPress={() => { level.value = 0; }}><Mark priority={level.value} size={14} /> <Icon name="close" size={14} /></FilterChip>}
      {filtered.value && hidden > 0 && <button type="button" class="chip-filter now-hidden" onClick={showAll}>{t.filtered(String(hidden))} · <b>{t.showAll}</b></button>}
    </div>
  );
}

/** What can be ordered about all that is marked; how many of which level stands on it before it is pressed. */
function Bulk() {
  const t = words();
  const all = [...marks.value].flatMap((id) => byId.value.get(id) ?? []);
  const mix = [1, 2, 3, 4].map((p) => ({ p, n: all.filter((a) => a.priority === p).length })).filter(({ n }) => n > 0);
  const having = (fits: (state: string) => boolean): string[] => all.filter((a) => fits(a.state)).map(({ id }) => id);
  const give = (verb: Parameters<typeof ask>[0], ids: string[], text: string, main = false) => ids.length > 0
    && <button type="button" class={main ? "main" : ""} disabled={!canOrder()} onClick={() => ask(verb, ids, unmark)}>{text} {ids.length}</button>;
  return (
    <div class="now-bulk" role="region" aria-label={t.marked(String(all.length))}>
      <b>{t.marked(String(all.length))}</b>
      {mix.map(({ p, n }) => <span key={p} class="row"><Mark priority={p} size={18} />{n}</span>)}
      <span class="grow" />
      {give("acknowledge", having((state) => isUnacked({ state })), t.acknowledge, true)}
      {give("reset", having((s) => s === "latched_acked"), t.reset)}
      {give("shelve", having((s) => !["shelved", "out_of_service", "suppressed"].includes(s)), t.shelve)}
      {give("unshelve", having((s) => s === "shelved"), t.unshelve)}
      {may("engineer") && give("out-of-service", having((s) => s !== "out_of_service"), t.out)}
      {may("engineer") && give("return-to-service", having((s) => s === "out_of_service"), t.back)}
      <button type="button" class="quiet icon" aria-label={t.clear} onClick={unmark}><Icon name="close" /></button>
    </div>
  );
}

/** Never a blank table: that all is well is said, and only while it is known. */
export function Empty() {
  const t = words();
  void tick.value;
  if (link.value === "waiting") return <div class="empty"><strong>{t.waiting}</strong>{t.waitingSub}</div>;
  if (!trusted.value) return <div class="empty now-unknown"><strong>{t.lost}</strong>{t.lostSub}</div>;
  if (alarms.value.length > 0 && filtered.value) return <div class="empty"><strong>{t.nothing}</strong><button type="button" onClick={showAll}>{t.showAll}</button></div>;
  if (table.value && table.value.columns.id.length === 0) return <Start />;
  if (!table.value) return <div class="empty"><strong>{t.waiting}</strong></div>;
  const good = quality.reduce((n, name) => n + Number(name === "good"), 0);
  const bad = quality.length - good;
  return (
    <div class="empty now-calm">
      <Icon name="check" size={48} />
      <strong>{t.none}</strong>
      <span>{t.online(String(good))}{bad > 0 && <> · <b>{t.offline(String(bad))}</b></>} · {t.updated(clock(lastTime.value))}</span>
    </div>
  );
}

function Start() {
  const t = words();
  const steps: [string, string][] = [[t.start1, "hazgate ports"], [t.start2, "hazgate scan /dev/ttyUSB0"], [t.start3, "hazgate check site.yaml --live"]];
  return (
    <div class="empty">
      <strong>{t.start}</strong>
      <ol class="now-start">{steps.map(([text, command]) => <li key={command}>{text}<code>{command}</code></li>)}</ol>
      {t.start4}
    </div>
  );
}
