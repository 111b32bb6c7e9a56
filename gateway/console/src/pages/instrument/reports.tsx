// What a person before the instrument tells: the checklist, and a problem that must be closed by somebody.
import { useState } from "preact/hooks";
import { post } from "../../api";
import { href } from "../../app/route";
import type { Case } from "../../live/types";
import { Dialog } from "../../parts/dialog";
import { canOrder, Refused, useOrder } from "../../parts/order";
import { toast } from "../../parts/toast";
import { either } from "../../text";
import { shrunk, type Photo } from "./photo";
import type { Instrument } from "./types";
import { t } from "./words";

export function Checklist({ one }: { one: Instrument }) {
  const words = t();
  const order = useOrder();
  const [done, setDone] = useState<ReadonlySet<string>>(new Set());
  const [note, setNote] = useState("");
  const toggle = (id: string): void => setDone((before) => { const after = new Set(before); if (!after.delete(id)) after.add(id); return after; });
  const send = (): void => {
    void order.give(() => post(`instruments/${encodeURIComponent(one.instrument)}/checks`, { done: [...done], note })).then((sent) => {
      if (sent) { setDone(new Set()); setNote(""); toast(words.sent); }
    });
  };
  return (
    <section class="pane">
      <header><h2>{words.checklist}</h2></header>
      <form class="pane-body stack" onSubmit={(e) => { e.preventDefault(); send(); }}>
        <p class="dim">{words.tick}</p>
        <div>{one.checklist.map((line) => (
          <label key={line.id} class="check"><input type="checkbox" checked={done.has(line.id)} onChange={() => toggle(line.id)} />{either(line.text, line.text_zh)}</label>
        ))}</div>
        <label class="field"><span>{words.note}</span><input maxLength={400} value={note} onInput={(e) => setNote(e.currentTarget.value)} /></label>
        <Refused text={order.refused} />
        <button type="submit" class="main" disabled={order.busy || !canOrder()}>{words.send}</button>
      </form>
    </section>
  );
}

export function Problem({ one }: { one: Instrument }) {
  const words = t();
  const [asking, ask] = useState(false);
  const [opened, setOpened] = useState("");
  return (
    <>
      <button type="button" class="instrument-problem" disabled={!canOrder()} onClick={() => ask(true)}>{words.problem}</button>
      {opened && <p class="note" role="status">{words.reported} <a href={href("case", opened)}>{words.toCase}</a></p>}
      {asking && <Report one={one} onClose={() => ask(false)} onDone={(id) => { ask(false); setOpened(id); }} />}
    </>
  );
}

function Report({ one, onClose, onDone }: { one: Instrument; onClose: () => void; onDone: (id: string) => void }) {
  const words = t();
  const order = useOrder();
  const [text, setText] = useState("");
  const [photo, setPhoto] = useState<Photo | null>(null);
  const [lacks, setLacks] = useState("");
  const choose = async (file: File | undefined): Promise<void> => {
    const made = file ? await shrunk(file) : undefined;
    setLacks(made === null ? words.large : "");
    setPhoto(made ?? null);
  };
  const send = (): void => {
    if (!text.trim()) return setLacks(words.needs);
    let id = "";
    void order.give(async () => {
      const found = await post<{ case: Case } | Case>("problems", { instrument: one.instrument, text, ...(photo ? { photo: photo.data } : {}) });
      id = "case" in found ? found.case.id : found.id;
    }).then((done) => { if (done) onDone(id); });
  };
  return (
    <Dialog title={words.problem} onClose={onClose} onSubmit={send}
      foot={<><button type="button" onClick={onClose}>{words.cancel}</button><button type="submit" class="main" disabled={order.busy || !canOrder()}>{words.report}</button></>}>
      <label class="field"><span>{words.seen}</span><textarea data-first rows={4} maxLength={480} value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
      <label class="field"><span>{words.photo}</span><input type="file" accept="image/*" onChange={(e) => void choose(e.currentTarget.files?.[0])} /></label>
      {photo && <figure class="instrument-photo"><div role="img" aria-label={words.photo} ref={(box) => box?.replaceChildren(photo.canvas)} /><button type="button" class="quiet" onClick={() => setPhoto(null)}>{words.remove}</button></figure>}
      <Refused text={lacks || order.refused} />
    </Dialog>
  );
}
