// What an operator sees first: what is wrong, how bad, where, since when, who is on it, and what to do.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask } from "../../app/asking";
import { bind } from "../../app/keys";
import { go } from "../../app/route";
import { select, selected } from "../../app/selection";
import { alarms, isUnacked, lastTime, link, quality, table, tick, trusted } from "../../live/state";
import { FilterChip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { phone } from "../../parts/media";
import { canOrder } from "../../parts/order";
import { clock } from "../../parts/time";
import { areaName } from "../../parts/words";
import { LazyBulk, LazyDetail, LazySide, LazyStart } from "./lazy";
import { afterAck, List, onAcked } from "./list";
import { area, byId, current, filtered, leftOut, level, listed, mark, marks, move, nextUnacked, show, showAll, sizes, turnFrom, unmark, view, type View } from "./model";
import { words } from "./words";
import "./now.css";

onAcked(nextUnacked);

const VIEWS: readonly View[] = ["open", "faults", "warnings", "shelved", "out_of_service", "suppressed"];
/** On a phone the detail covers the list, until it is closed. */
const opened = signal(false);

export function Now() {
  const alarm = current.value;
  useEffect(keys, []);
  const empty = listed.value.length === 0;
  return (
    <div class="now">
      <div class="now-left">
        <Filters />
        {marks.value.size > 0 && <LazyBulk />}
        <div class="now-left-body" onClick={(e) => { if (phone.value && (e.target as Element).closest(".now-row") && !(e.target as Element).closest("button, a, input")) opened.value = true; }}>
          {empty ? <Empty /> : <List />}
        </div>
      </div>
      {!phone.value && <LazySide alarm={alarm} />}
      {phone.value && opened.value && alarm && (
        <div class="now-sheet"><button type="button" class="now-sheet-close" aria-label="×" onClick={() => { opened.value = false; }}><Icon name="left" />{words().alarms}</button><LazyDetail alarm={alarm} /></div>
      )}
    </div>
  );
}

function keys(): () => void {
  const one = (verb: Parameters<typeof ask>[0], fits: (state: string) => boolean, done?: (id: string) => void) => (): void => {
    const alarm = current.value;
    if (alarm && canOrder() && fits(alarm.state)) ask(verb, [alarm.id], () => done?.(alarm.id));
  };
  const waits = (state: string): boolean => isUnacked({ state });
  return bind({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), n: nextUnacked,
    x: () => { if (selected.value) mark(selected.value); },
    a: one("acknowledge", waits, afterAck),
    A: () => { if (marks.value.size) acknowledgeMarked(); },
    r: one("reset", (state) => state === "latched_acked"),
    s: one("shelve", (state) => state !== "shelved" && state !== "out_of_service" && state !== "suppressed", turnFrom),
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

/** Never a blank table: that all is well is said, and only while it is known. */
export function Empty() {
  const t = words();
  void tick.value;
  if (link.value === "waiting") return <div class="empty"><strong>{t.waiting}</strong>{t.waitingSub}</div>;
  if (!trusted.value) return <div class="empty now-unknown"><strong>{t.lost}</strong>{t.lostSub}</div>;
  if (alarms.value.length > 0 && filtered.value) return <div class="empty"><strong>{t.nothing}</strong><button type="button" onClick={showAll}>{t.showAll}</button></div>;
  if (table.value && table.value.columns.id.length === 0) return <LazyStart />;
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
