// Bump test and calibration: how they stand, and recording one.
import { useState } from "preact/hooks";
import { post } from "../../api";
import type { AlarmEvent } from "../../live/types";
import { Chip } from "../../parts/chip";
import { Dialog } from "../../parts/dialog";
import { canOrder, Refused, useOrder } from "../../parts/order";
import { day } from "../../parts/time";
import { toast } from "../../parts/toast";
import type { Instrument, Owed } from "./types";
import { t } from "./words";

export function Tests({ one, again }: { one: Instrument; again: () => void }) {
  const words = t();
  const [asking, ask] = useState(false);
  return (
    <section class="pane">
      <header><h2 class="grow">{words.tests}</h2><button type="button" disabled={!canOrder()} onClick={() => ask(true)}>{words.record}</button></header>
      <div class="pane-body stack">
        <Stand name={words.bump} owed={one.bump} />
        <Stand name={words.calibration} owed={one.calibration} />
        {one.gas && <p class="dim">{words.gas}: {one.gas}</p>}
      </div>
      {asking && <Record one={one} onDone={() => { ask(false); again(); }} onClose={() => ask(false)} />}
    </section>
  );
}

function Stand({ name, owed }: { name: string; owed: Owed }) {
  const words = t();
  const bad = owed.state === "overdue" || owed.state === "failed";
  return (
    <div class="instrument-test">
      <b class="grow">{name}</b>
      <Chip tone={bad ? "bad" : owed.state === "due" ? "warn" : ""}>{words.states(owed.state)}</Chip>
      <span class="instrument-dates dim small">
        {owed.last_at ? <>{words.last} <time dateTime={owed.last_at}>{day(owed.last_at)}</time> {owed.by && words.by(owed.by)}</> : owed.state !== "none" && words.never}
        {owed.due_at && <> · {words.due} <time dateTime={owed.due_at}>{day(owed.due_at)}</time></>}
      </span>
    </div>
  );
}

function Record({ one, onDone, onClose }: { one: Instrument; onDone: () => void; onClose: () => void }) {
  const words = t();
  const order = useOrder();
  const [kind, setKind] = useState<"bump" | "calibration">("bump");
  const [shown, setShown] = useState("");
  const [passed, setPassed] = useState<boolean | null>(null);
  const [note, setNote] = useState("");
  const [lacks, setLacks] = useState("");
  const figure = shown.trim() === "" ? null : Number(shown.replace(",", "."));
  const judges = one.expected === null || figure === null;
  const save = (): void => {
    if (figure !== null && !Number.isFinite(figure) || (judges && passed === null)) return setLacks(words.nothing);
    setLacks("");
    void order.give(async () => {
      const { event } = await post<{ event: AlarmEvent }>(`instruments/${encodeURIComponent(one.instrument)}/calibrated`, { kind, shown: figure, passed: judges ? passed : null, note });
      toast(words.judged(event.calibration?.passed ?? false));
    }).then((done) => { if (done) onDone(); });
  };
  const expects = one.expected === null ? "" : words.expects(`${one.expected} ${one.unit} ±${one.tolerance_percent} %`);
  return (
    <Dialog title={words.record} onClose={onClose} onSubmit={save}
      foot={<><button type="button" onClick={onClose}>{words.cancel}</button><button type="submit" class="main" disabled={order.busy || !canOrder()}>{words.save}</button></>}>
      <fieldset class="field">
        <legend>{words.what}</legend>
        <div class="choices">
          {(["bump", "calibration"] as const).map((each) => <button key={each} type="button" aria-pressed={kind === each} onClick={() => setKind(each)}>{words[each]}</button>)}
        </div>
      </fieldset>
      <label class="field"><span>{words.shown(one.unit)}</span><input data-first inputMode="decimal" autocomplete="off" value={shown} onInput={(e) => setShown(e.currentTarget.value)} />{expects && <small>{expects}</small>}</label>
      {judges && (
        <fieldset class="field">
          <legend>{words.passed}</legend>
          <div class="choices">
            <button type="button" aria-pressed={passed === true} onClick={() => setPassed(true)}>{words.yes}</button>
            <button type="button" aria-pressed={passed === false} onClick={() => setPassed(false)}>{words.no}</button>
          </div>
        </fieldset>
      )}
      <label class="field"><span>{words.note}</span><input maxLength={400} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
      <Refused text={lacks || order.refused} />
    </Dialog>
  );
}
