// Shift handover: the draft of the shift that runs, the one that waits to be accepted, and those of the past.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, part, post, session } from "../../api";
import { go, href } from "../../app/route";
import { onEvent, trusted } from "../../live/state";
import { useAsk } from "../../parts/ask";
import { Icon } from "../../parts/icon";
import { reason, Refused, useOrder } from "../../parts/order";
import { clock, moment, Time } from "../../parts/time";
import { toast } from "../../parts/toast";
import { either, lang } from "../../text";
import { Sections } from "./sections";
import { lookAtHandover } from "./strip";
import type { Handed, Handover, Shift } from "./types";
import { t } from "./words";
import "./handover.css";

const DRAFT_MS = 15_000;

/** `#/handover` is the shift that runs; `#/handover/<id>` one that was signed over. */
export default function HandoverPage({ rest }: { rest: string }) {
  const words = t();
  const { data: one, refusal, again } = useAsk<Handover>(rest ? `handovers/${part(rest)}` : "handover", rest ? 0 : DRAFT_MS);
  useEffect(() => onEvent((event) => { if (event.kind === "handover") again(); }), [again]);
  if (refusal?.status === 404 && !rest) return <section class="page"><div class="page-head"><h1>{words.title}</h1></div><p class="note">{words.absent}</p></section>;
  return (
    <section class="page handover-page">
      {rest && <a class="button quiet handover-back" href={href("handover")}><Icon name="left" />{words.back}</a>}
      <Head one={one} id={rest} />
      {refusal && <Refused text={reason(refusal)} />}
      {!trusted.value && <p class="note">{words.offline}</p>}
      {one?.altered && <Refused text={words.altered} />}
      {one?.superseded && <p class="note">{words.superseded}</p>}
      {one?.waiting && one.waiting.id !== one.id && !rest && <Wait one={one.waiting} />}
      <div class="handover-body">
        <div class="stack handover-sections">{one && <Sections one={one} live={!rest}>{!one.signed && <NoteForm done={again} />}</Sections>}</div>
        <aside class="stack handover-side">
          {one && <Signatures one={one} done={again} />}
          <Past chosen={rest} />
        </aside>
      </div>
    </section>
  );
}

const shiftName = (shift: Shift): string => either(shift.name, shift.name_zh) || t().lastHours;
const shiftSpan = (shift: Shift): string => `${moment(shift.start).slice(0, 16)} – ${moment(shift.end).slice(11, 16)}`;

function Head({ one, id }: { one: Handover | null; id: string }) {
  const words = t();
  const report = (form: string): string => `api/v1/reports/handover?form=${form}&lang=${lang.value}${id ? `&id=${encodeURIComponent(id)}` : ""}`;
  return (
    <div class="page-head">
      <h1>{words.title}{one && <span class="handover-shift"> · {shiftName(one.shift)}</span>}</h1>
      {one && <span class="dim">{shiftSpan(one.shift)}{!one.signed && ` · ${words.draft}`}</span>}
      <span class="grow" />
      <span class="row handover-files">
        <button type="button" onClick={() => print()}><Icon name="print" />{words.print}</button>
        <a class="button" href={report("html")} target="_blank" rel="noopener"><Icon name="journal" />{words.html}</a>
        <a class="button" href={report("pdf")} target="_blank" rel="noopener"><Icon name="download" />{words.pdf}</a>
      </span>
    </div>
  );
}

function Wait({ one }: { one: Handed }) {
  const words = t();
  return (
    <div class="pane handover-wait">
      <Icon name="shift" size={24} />
      <div class="grow"><b>{words.waiting} · {shiftName(one.shift)}</b><p class="dim">{shiftSpan(one.shift)} · {words.signed} {one.signed.by} <Time at={one.signed.at} /></p></div>
      <a class="button main" href={href("handover", one.id)}>{words.read}</a>
    </div>
  );
}

/** Who signed over and who accepted; and, where it is still to be done, the form for it. */
function Signatures({ one, done }: { one: Handover; done: () => void }) {
  const words = t();
  const order = useOrder();
  const [why, setWhy] = useState("");
  const me = session.value.display_name || session.value.name;
  const sign = async (): Promise<void> => {
    let kept = "";
    if (await order.give(async () => { kept = (await post<Handed>("handover/sign", { why })).id; })) { setWhy(""); toast(words.doneSign); void lookAtHandover(); go("handover", kept); }
  };
  const accept = async (): Promise<void> => {
    if (await order.give(() => post("handover/accept", { id: one.id, why }))) { setWhy(""); toast(words.doneAccept); void lookAtHandover(); done(); }
  };
  if (!one.signed) {
    return (
      <Card title={words.sign}>
        <form class="stack" onSubmit={(e) => { e.preventDefault(); void sign(); }}>
          <label class="field"><span>{words.signWhy}</span><textarea rows={3} maxLength={1000} value={why} onInput={(e) => setWhy(e.currentTarget.value)} /></label>
          <button type="submit" class="main" disabled={order.busy || !trusted.value}>{words.signPress}</button>
          <p class="dim small">{session.value.signed_in ? words.signAs(me) : words.signStranger}</p>
          <Refused text={order.refused} />
        </form>
      </Card>
    );
  }
  const own = session.value.signed_in && session.value.name === one.signed.by;
  return (
    <Card title={one.accepted ? words.accepted : words.accept}>
      <dl class="facts">
        <dt>{words.signed}</dt><dd><b>{one.signed.by}</b><br /><span class="dim"><Time at={one.signed.at} long /></span>{one.signed.why && <p>{one.signed.why}</p>}</dd>
        <dt>{words.accepted}</dt><dd>{one.accepted ? <><b>{one.accepted.by}</b><br /><span class="dim"><Time at={one.accepted.at} long /></span></> : words.acceptNone}</dd>
      </dl>
      {!one.accepted && !one.superseded && (own
        ? <p class="note">{words.acceptOther}</p>
        : <form class="stack" onSubmit={(e) => { e.preventDefault(); void accept(); }}>
            <label class="field"><span>{words.acceptWhy}</span><textarea rows={2} maxLength={1000} value={why} onInput={(e) => setWhy(e.currentTarget.value)} /></label>
            <button type="submit" class="main" disabled={order.busy || !trusted.value}>{words.acceptPress}</button>
            <p class="dim small">{session.value.signed_in ? words.acceptAs(me) : words.signStranger} {words.acceptSure}</p>
          </form>)}
      <Refused text={order.refused} />
    </Card>
  );
}

const Card = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="pane handover-card"><header><h2>{title}</h2></header><div class="pane-body stack">{children}</div></section>
);

function NoteForm({ done }: { done: () => void }) {
  const words = t();
  const order = useOrder();
  const [text, set] = useState("");
  const add = async (): Promise<void> => {
    if (await order.give(() => post("handover/notes", { text: text.trim() }))) { set(""); toast(words.noted); done(); }
  };
  return (
    <form class="handover-add" onSubmit={(e) => { e.preventDefault(); if (text.trim()) void add(); }}>
      <input value={text} maxLength={1000} aria-label={words.noteHint} placeholder={words.noteHint} onInput={(e) => set(e.currentTarget.value)} />
      <button type="submit" disabled={order.busy || !text.trim() || !trusted.value}>{words.addNote}</button>
      <Refused text={order.refused} />
    </form>
  );
}

function Past({ chosen }: { chosen: string }) {
  const words = t();
  const { data, refusal, again } = useAsk<{ handovers: Handed[]; next: number | null }>("handovers?limit=20");
  useEffect(() => onEvent((event) => { if (event.kind === "handover") again(); }), [again]);
  const [older, setOlder] = useState<Handed[]>([]);
  const [next, setNext] = useState<number | null>(null);
  useEffect(() => { setOlder([]); setNext(data?.next ?? null); }, [data]);
  const more = (): void => {
    get<{ handovers: Handed[]; next: number | null }>(`handovers?limit=20&before=${next ?? 0}`)
      .then((found) => { setOlder([...older, ...found.handovers]); setNext(found.next); }, () => setNext(null));
  };
  if (!data) return refusal && refusal.status !== 404 ? <Refused text={reason(refusal)} /> : null;
  const all = [...data.handovers, ...older];
  return (
    <section class="pane handover-past"><header><h2>{words.past}</h2></header>
      {all.length ? <ul>{all.map((one) => (
        <li key={one.id}><a href={href("handover", one.id)} aria-current={one.id === chosen ? "true" : undefined}>
          <b>{shiftName(one.shift)}</b><span class="dim">{clock(one.shift.start)}</span>
          <span class="handover-who">{one.signed.by} <Icon name="right" size={14} /> {one.accepted?.by ?? <em class="handover-open">{words.acceptNone}</em>}</span>
        </a></li>
      ))}</ul> : <p class="handover-none dim">{words.pastNone}</p>}
      {next && <button type="button" class="quiet" onClick={more}>{words.older}</button>}
    </section>
  );
}
