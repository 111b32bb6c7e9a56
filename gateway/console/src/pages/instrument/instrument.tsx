// One instrument, as whoever scanned its label stands before it: values, alarms, tests, checklist, a problem to report.
import { ask } from "../../app/asking";
import { href } from "../../app/route";
import { alarms, isUnacked, quality, tick, trusted } from "../../live/state";
import type { Alarm } from "../../live/types";
import { useAsk } from "../../parts/ask";
import { Mark } from "../../parts/mark";
import { reason, Refused } from "../../parts/order";
import { limits, wantLimits } from "../../parts/setpoints";
import { Age } from "../../parts/time";
import { about, areaName, channelName, qualityWord, rowOf, stateWord, valueText } from "../../parts/words";
import { table } from "../../live/state";
import { either } from "../../text";
import { Checklist, Problem } from "./reports";
import { Tests } from "./tests";
import type { Instrument } from "./types";
import { t } from "./words";
import "./instrument.css";

export default function InstrumentPage({ rest }: { rest: string }) {
  const words = t();
  const { data: one, refusal, again } = useAsk<Instrument>(`instruments/${encodeURIComponent(rest)}`, 60_000);
  wantLimits();
  if (!one) {
    return <section class="page">{refusal && (refusal.status === 404 ? <div class="empty"><strong>{words.gone}</strong><p>{rest}</p></div> : <Refused text={reason(refusal)} />)}</section>;
  }
  const own = alarms.value.filter((alarm) => alarm.instrument === one.instrument || alarm.alarm.endsWith(`/${one.instrument}`));
  return (
    <section class="page instrument">
      <header class="instrument-head">
        <h1>{either(one.label || one.instrument, one.label_zh)}</h1>
        <p class="dim"><span class="mono">{one.instrument}</span>{[areaName(one.area), one.location].filter(Boolean).map((text) => ` · ${text}`)}</p>
      </header>
      <section class="pane" aria-label={words.values}>{one.channels.map((id) => <Value key={id} id={id} />)}</section>
      <section class="pane">
        <header><h2>{words.alarms}</h2></header>
        {own.length ? own.map((alarm) => <AlarmRow key={alarm.id} alarm={alarm} />) : <p class="pane-body dim">{trusted.value ? words.calm : words.unknown}</p>}
      </section>
      <Problem one={one} />
      <Tests one={one} again={again} />
      {one.checklist.length > 0 && <Checklist one={one} />}
    </section>
  );
}

function Value({ id }: { id: string }) {
  const row = rowOf(id);
  void tick.value;
  const state = quality[row] ?? "bad";
  const unit = table.value?.columns.unit[row] ?? "";
  const steps = limits.value.get(row) ?? [];
  return (
    <a class="instrument-value" href={href("point", id)}>
      <span class="grow clip">{channelName(id)}</span>
      <span class="instrument-figure">{valueText(row)}<small> {unit}</small></span>
      <span class="instrument-under dim small">
        {state !== "good" && <b>{qualityWord(state)} </b>}
        {steps.length > 0 && `${t().limits} ${steps.map((each) => `${each.side === "above" ? "≥" : "≤"} ${each.value}`).join(" · ")}`}
      </span>
    </a>
  );
}

function AlarmRow({ alarm }: { alarm: Alarm }) {
  const { what, why } = about(alarm);
  return (
    <div class="instrument-alarm">
      <Mark priority={alarm.priority} level={alarm.level} size={24} />
      <div class="grow"><b>{what}</b> <span class="dim small">{stateWord(alarm.state)} · <Age since={alarm.raised_at} /></span><p>{why}</p></div>
      {isUnacked(alarm) && <button type="button" class="main" onClick={() => ask("acknowledge", [alarm.id])}>{t().ack}</button>}
    </div>
  );
}
