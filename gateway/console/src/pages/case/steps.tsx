// The six steps of a response (received, dispatched, on site, acted, reported back, archived) and what is done next.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { post, part } from "../../api";
import { href } from "../../app/route";
import { alarms, isAside, isUnacked, site, trusted } from "../../live/state";
import type { Case, Outcome, Step } from "../../live/types";
import { reason, Refused, useOrder, type Ordering } from "../../parts/order";
import { clock, span } from "../../parts/time";
import { doneAt, leftMs, OUTCOMES, pressing, useCase } from "./data";
import { either } from "../../text";
import { t } from "./words";
import "./steps.css";

type Form = "" | "dispatch" | "act" | "close" | "reopen";
type Place = "receive" | "dispatch" | "arrive" | "act" | "report" | "archive";
const STEP_OF: Partial<Record<Place, Step>> = { receive: "acknowledge", dispatch: "dispatch", arrive: "arrive", archive: "close" };
const PLACES: readonly Place[] = ["receive", "dispatch", "arrive", "act", "report", "archive"];

/** The steps of one response. `compact` is the short form beside an alarm: where it stands, and the next thing to do. */
export function CaseSteps({ id, compact = false }: { id: string; compact?: boolean }) {
  const { found, refusal } = useCase(id);
  if (!found) return refusal ? (compact ? null : <Refused text={reason(refusal)} />) : <p class="case-wait" aria-busy="true" />;
  return compact ? <Compact one={found} /> : <Whole one={found} />;
}

function Compact({ one }: { one: Case }) {
  const words = t();
  return (
    <section class="case-compact" aria-label={words.response}>
      <ol class="case-track">
        {PLACES.map((place) => <li key={place} class={standing(one, place)}><i aria-hidden="true" />{words[place]}</li>)}
      </ol>
      <p class="case-line"><b>{whoIsOnIt(one)}</b> <Countdown one={one} /> <a href={href("case", one.id)}>{words.whole}</a></p>
      <Next one={one} />
    </section>
  );
}

function Whole({ one }: { one: Case }) {
  const words = t();
  return (
    <div class="case-whole">
      <ol class="case-steps">
        {PLACES.map((place, k) => (
          <li key={place} class={standing(one, place)} aria-current={standing(one, place) === "at" ? "step" : undefined}>
            <i class="case-dot" aria-hidden="true">{standing(one, place) === "done" ? <Tick /> : k + 1}</i>
            <div class="case-step">
              <h3>{words[place]}</h3>
              <StepLine one={one} place={place} />
            </div>
            <StepTime one={one} place={place} />
          </li>
        ))}
      </ol>
      <Next one={one} />
    </div>
  );
}

/** Whether a step is done, is the next one, lies ahead, or was left out. */
function standing(one: Case, place: Place): "done" | "at" | "ahead" | "skipped" {
  const done = isDone(one, place);
  if (done) return "done";
  const later = PLACES.slice(PLACES.indexOf(place) + 1).some((each) => isDone(one, each));
  if (later) return "skipped";
  return PLACES.find((each) => !isDone(one, each) && !PLACES.slice(PLACES.indexOf(each) + 1).some((next) => isDone(one, next))) === place ? "at" : "ahead";
}

function isDone(one: Case, place: Place): boolean {
  switch (place) {
    case "act": return one.actions.some((each) => each.by);
    case "report": return one.outcome !== "";
    default: return doneAt(one, STEP_OF[place]!) !== null;
  }
}

function StepLine({ one, place }: { one: Case; place: Place }) {
  const words = t();
  switch (place) {
    case "receive": return <p>{one.received_by || (one.opened_by ? words.reportedBy(one.opened_by) : words.nobody)}</p>;
    case "dispatch": return one.dispatched_at
      ? <p><b>{one.assignee}</b>{one.phone && <> · <Phone number={one.phone} /></>}{one.dispatched_by !== one.assignee && <small>{words.by(one.dispatched_by)}</small>}</p>
      : null;
    case "arrive": return one.arrived_at ? <p>{one.assignee}</p> : null;
    case "act": return one.actions.length ? (
      <ul class="case-actions">
        {one.actions.map((each, k) => <li key={k}><time>{clock(each.at)}</time> <span>{each.by ? each.text : spokenPart(each.text)}</span> <small>{each.by || words.gateway}</small></li>)}
      </ul>) : null;
    case "report": return one.outcome ? <p><b>{words[one.outcome]}</b>{one.note && ` · ${one.note}`}</p> : null;
    case "archive": return one.closed_at ? <p>{one.closed_by === "gateway" ? words.gateway : one.closed_by}</p> : null;
  }
}

/** The gateway's own lines are written in both languages. */
function spokenPart(text: string): string {
  const [en = "", zh = ""] = text.split(" / ");
  return either(en, zh);
}

function StepTime({ one, place }: { one: Case; place: Place }) {
  const words = t();
  const step = STEP_OF[place];
  if (!step) return <span class="case-time" />;
  const at = doneAt(one, step);
  const late = one.overdue.includes(step);
  const left = leftMs(one, step);
  const limit = site.value?.response.limits[`${step}_s`];
  const allowed = limit ? span(limit * 1000) : "";
  return (
    <span class="case-time">
      {at && <><time>{clock(at)}</time><small>{words.after(span(Date.parse(at) - Date.parse(one.opened_at)))}</small></>}
      {at && late && <em class="case-late">{words.late}{allowed && ` · ${words.limit(allowed)}`}</em>}
      {left !== null && <Left left={left} />}
      {!at && left !== null && allowed && <small>{words.limit(allowed)}</small>}
    </span>
  );
}

/** How much is left of a limit, or by how much it has passed; in words, because colour alone says nothing. */
function Left({ left }: { left: number }) {
  const words = t();
  return left < 0
    ? <em class="case-late">{words.over(span(-left))}</em>
    : <b class={left < 60_000 ? "case-soon" : "case-left"}>{words.left(span(left))}</b>;
}

/** The most pressing limit of a response, with its step. */
export function Countdown({ one }: { one: Case }) {
  const worst = pressing(one);
  if (!worst) return null;
  const words = t();
  const names: Record<Step, string> = { acknowledge: words.receive, dispatch: words.dispatch, arrive: words.arrive, close: words.archive };
  return <span class="case-count">{names[worst.step]} <Left left={worst.left} /></span>;
}

export function whoIsOnIt(one: Case): string {
  const words = t();
  if (one.state === "closed") return one.outcome ? words[one.outcome] : words.closedState;
  return one.assignee ? `${words[`${one.state}State`]} · ${one.assignee}`
    : one.received_by ? `${words.receivedState} · ${one.received_by}` : words.newState;
}

export function Phone({ number }: { number: string }) {
  return <a class="case-phone" href={`tel:${number.replace(/[^\d+]/g, "")}`} aria-label={t().call(number)}>{number}</a>;
}

const Tick = () => <svg viewBox="0 0 12 12" width="12" height="12"><path d="M2 6.5 5 9.5 10.5 3" fill="none" stroke="currentColor" stroke-width="2" /></svg>;

/** What can be done now: the next step first and large, the others beside it, and the form of the one that is chosen. */
function Next({ one }: { one: Case }) {
  const words = t();
  const [form, setForm] = useState<Form>("");
  const order = useOrder();
  const shut = (): void => { setForm(""); order.forget(); };
  const path = `cases/${part(one.id)}`;
  const give = async (verb: string, body: unknown): Promise<void> => { if (await order.give(() => post(`${path}/${verb}`, body))) shut(); };
  const alarm = alarms.value.find((each) => each.id === one.alarm);
  const unreceived = !one.received_at && alarm !== undefined && isUnacked(alarm);
  const off = !trusted.value || order.busy;

  if (one.state === "closed") {
    return (
      <Orders order={order} form={form}>
        {form === "reopen"
          ? <OneLine label={words.why} button={words.reopen} off={off} done={(why) => give("reopen", { why })} shut={shut} />
          : <button disabled={off} onClick={() => setForm("reopen")}>{words.doReopen}</button>}
      </Orders>
    );
  }
  if (form === "dispatch") return <Orders order={order} form={form}><Dispatch one={one} off={off} done={(body) => give("dispatch", body)} shut={shut} /></Orders>;
  if (form === "act") return <Orders order={order} form={form}><OneLine label={words.action} hint={words.actionHint} button={words.save} off={off} done={(text) => give("act", { text })} shut={shut} /></Orders>;
  if (form === "close") return <Orders order={order} form={form}><Close one={one} off={off} done={(body) => give("close", body)} shut={shut} /></Orders>;

  const main: Exclude<Place, "report" | "archive"> | "close" = unreceived ? "receive" : !one.dispatched_at && !one.arrived_at ? "dispatch" : !one.arrived_at ? "arrive" : !one.actions.some((each) => each.by) ? "act" : "close";
  const button = (which: typeof main, label: string, act: () => void) => (
    <button key={which} class={which === main ? "main" : ""} disabled={off} onClick={act}>{label}</button>
  );
  const buttons = [
    unreceived && button("receive", words.doReceive, () => void order.give(() => post(`alarms/${part(one.alarm)}/acknowledge`, { seen: alarm.seq }))),
    button("dispatch", one.dispatched_at ? words.doAgain : words.doDispatch, () => setForm("dispatch")),
    !one.arrived_at && button("arrive", one.assignee ? words.doArrive : words.doMine, () => void give("arrive", {})),
    button("act", words.doAct, () => setForm("act")),
    button("close", words.doClose, () => setForm("close")),
  ].filter((each) => each !== false);
  buttons.sort((a, b) => Number(b.key === main) - Number(a.key === main));
  return <Orders order={order} form={form}>{buttons}{!trusted.value && <p class="case-off">{words.offline}</p>}</Orders>;
}

function Orders({ order, form, children }: { order: Ordering; form: Form; children: ComponentChildren }) {
  return <div class={form ? "case-orders case-open" : "case-orders"}>{children}<Refused text={order.refused} /></div>;
}

interface FormProps<T> { off: boolean; done: (body: T) => Promise<void>; shut: () => void }

function Dispatch({ one, off, done, shut }: FormProps<{ assignee: string; phone: string; note: string }> & { one: Case }) {
  const words = t();
  const [body, set] = useState({ assignee: one.assignee, phone: one.phone, note: "" });
  return (
    <Entry button={words.send} off={off || !body.assignee.trim()} done={() => done(body)} shut={shut}>
      <label class="field"><span>{words.who}</span><input value={body.assignee} placeholder={words.whoHint} required maxLength={64} autofocus onInput={(e) => set({ ...body, assignee: e.currentTarget.value })} /></label>
      <label class="field"><span>{words.phone}</span><input type="tel" inputMode="tel" value={body.phone} maxLength={40} onInput={(e) => set({ ...body, phone: e.currentTarget.value })} /></label>
      <label class="field case-wide"><span>{words.noteFree}</span><input value={body.note} maxLength={500} onInput={(e) => set({ ...body, note: e.currentTarget.value })} /></label>
    </Entry>
  );
}

function Close({ one, off, done, shut }: FormProps<{ outcome: Outcome; note: string }> & { one: Case }) {
  const words = t();
  const [outcome, choose] = useState<Outcome>("");
  const [note, set] = useState("");
  const stands = !one.over && one.alarm !== "";
  const alarm = alarms.value.find((each) => each.id === one.alarm);
  // What is real is dealt with first: its alarm must be over, or put aside under a permit.
  const early = stands && !(alarm && isAside(alarm));
  return (
    <Entry button={words.close} off={off || !outcome || (stands && !note.trim())} done={() => done({ outcome, note })} shut={shut}>
      <fieldset class="case-outcomes case-wide">
        <legend>{words.outcome}</legend>
        {OUTCOMES.map((each) => (
          <label key={each} class="case-choice"><input type="radio" name="outcome" checked={outcome === each} disabled={early && each === "real"} onChange={() => choose(each)} /><span>{words[each || "unnamed"]}</span></label>
        ))}
      </fieldset>
      {stands && <p class="case-stands case-wide">{early ? words.closeEarly : words.closeStands}</p>}
      <label class="field case-wide"><span>{words.found}</span><textarea rows={3} value={note} placeholder={words.foundHint} maxLength={2000} onInput={(e) => set(e.currentTarget.value)} /></label>
    </Entry>
  );
}

function OneLine({ label, hint, button, off, done, shut }: FormProps<string> & { label: string; hint?: string; button: string }) {
  const [text, set] = useState("");
  return (
    <Entry button={button} off={off || !text.trim()} done={() => done(text.trim())} shut={shut}>
      <label class="field case-wide"><span>{label}</span><input value={text} placeholder={hint ?? ""} maxLength={500} autofocus onInput={(e) => set(e.currentTarget.value)} /></label>
    </Entry>
  );
}

function Entry({ button, off, done, shut, children }: { button: string; off: boolean; done: () => Promise<void>; shut: () => void; children: ComponentChildren }) {
  return (
    <form class="case-form" onSubmit={(e) => { e.preventDefault(); if (!off) void done(); }} onKeyDown={(e) => { if (e.key === "Escape") { e.stopPropagation(); shut(); } }}>
      {children}
      <div class="case-buttons case-wide">
        <button class="main" type="submit" disabled={off}>{button}</button>
        <button type="button" onClick={shut}>{t().cancel}</button>
      </div>
    </form>
  );
}
