// Registers as they stand, each in every way it can be read; what has changed is marked for a moment.
import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../../api";
import { canOrder, Refused, useOrder } from "../../parts/order";
import { useAsk } from "../../parts/ask";
import { Snippet } from "./snippet";
import { BAUDS, ORDERS, placeOf, type Guesses, type Parity, type Place, type Register, type Registers } from "./types";
import { t } from "./words";

const EVERY_MS = 1000;
type Table = "holding" | "input" | "coil" | "discrete";
type Kind = "float32" | "uint32" | "int32";

export function Where({ place, set }: { place: Place; set: (place: Place) => void }) {
  const words = t();
  const { data } = useAsk<{ instruments: { connection: string; type: string }[] }>("instruments");
  const known = [...new Set(data?.instruments.filter((one) => one.type === "modbus").map((one) => one.connection))];
  // At a gateway that runs, the first question is about what is connected already.
  useEffect(() => { if (known[0] && !place.connection && !place.endpoint) set({ ...place, connection: known[0] }); }, [known[0]]);
  return (
    <>
      <label class="field"><span>{words.through}</span><select value={place.connection} onChange={(e) => set({ ...place, connection: e.currentTarget.value })}><option value="">{words.atEndpoint}</option>{known.map((id) => <option key={id} value={id}>{id}</option>)}</select></label>
      {!place.connection && <label class="field com-broad"><span>{words.endpoint}</span><input class="mono" value={place.endpoint} spellcheck={false} placeholder={words.endpointHint} onInput={(e) => set({ ...place, endpoint: e.currentTarget.value })} /></label>}
      <Number_ label={words.unit} value={place.unit} max={255} set={(unit) => set({ ...place, unit })} />
      {!place.connection && place.endpoint !== "" && !place.endpoint.startsWith("tcp") && (
        <>
          <label class="field"><span>{words.line}</span><select value={place.baud} onChange={(e) => set({ ...place, baud: Number(e.currentTarget.value) })}>{BAUDS.map((baud) => <option key={baud} value={baud}>{baud}</option>)}</select></label>
          <label class="field"><span>8</span><select value={`${place.parity}${place.stop_bits}`} onChange={(e) => set({ ...place, parity: e.currentTarget.value[0] as Parity, stop_bits: Number(e.currentTarget.value[1]) as 1 | 2 })}>{["N1", "E1", "O1", "N2", "E2", "O2"].map((each) => <option key={each} value={each}>8{each}</option>)}</select></label>
        </>
      )}
    </>
  );
}

function Number_({ label, value, max, min = 0, set }: { label: string; value: number; max: number; min?: number; set: (n: number) => void }) {
  return <label class="field"><span>{label}</span><input type="number" inputMode="numeric" min={min} max={max} required value={value} onInput={(e) => { const n = e.currentTarget.valueAsNumber; if (Number.isFinite(n)) set(n); }} /></label>;
}

export function Live({ place, set }: { place: Place; set: (place: Place) => void }) {
  const words = t();
  const order = useOrder();
  const [form, change] = useState({ table: "holding" as Table, address: 0, count: 16 });
  const [kind, choose] = useState<Kind>("float32");
  const [live, run] = useState(false);
  const [found, show] = useState<Registers | null>(null);
  const before = useRef(new Map<number, number | null>());
  const [changed, mark] = useState(new Set<number>());
  const read = async (): Promise<void> => {
    const done = await order.give(async () => {
      const next = await post<Registers>("commissioning/read", { ...placeOf(place), ...form });
      mark(new Set(next.registers.filter((one) => before.current.has(one.address) && before.current.get(one.address) !== one.word).map((one) => one.address)));
      before.current = new Map(next.registers.map((one) => [one.address, one.word]));
      show(next);
    });
    if (!done) run(false);
  };
  const key = JSON.stringify([place, form]);
  useEffect(() => { before.current = new Map(); mark(new Set()); show(null); }, [key]);
  useEffect(() => {
    if (!live) return;
    // The next question waits until the last one is answered: a slow line is not flooded.
    let timer: ReturnType<typeof setTimeout>;
    let on = true;
    const again = async (): Promise<void> => { if (!document.hidden) await read(); if (on) timer = setTimeout(() => void again(), EVERY_MS); };
    void again();
    return () => { on = false; clearTimeout(timer); };
  }, [live, key]);
  const bits = form.table === "coil" || form.table === "discrete";
  return (
    <section class="pane" aria-label={words.registers}>
      <header><h2 class="grow">{words.registers}</h2>{found && <span class="dim small">{words.took((found.latency_s * 1000).toFixed(0))}{Object.keys(found.refused).length > 0 && ` · ${words.refusedAt(String(Object.keys(found.refused).length))}`}</span>}</header>
      <form class="com-form" onSubmit={(e) => { e.preventDefault(); void read(); }}>
        <Where place={place} set={set} />
        <label class="field"><span>{words.table}</span><select value={form.table} onChange={(e) => change({ ...form, table: e.currentTarget.value as Table })}>{(["holding", "input", "coil", "discrete"] as const).map((each) => <option key={each} value={each}>{words[each]}</option>)}</select></label>
        <Number_ label={words.address} value={form.address} max={65_535} set={(address) => change({ ...form, address })} />
        <Number_ label={words.count} value={form.count} min={1} max={128} set={(count) => change({ ...form, count })} />
        <div class="row com-wide">
          <button type="submit" class={live ? "" : "main"} disabled={order.busy || live || !canOrder()}>{words.read}</button>
          <button type="button" aria-pressed={live} disabled={!canOrder()} onClick={() => run(!live)}>{live ? words.pause : words.live}</button>
        </div>
        <div class="com-wide"><Refused text={order.refused} /></div>
      </form>
      {found && (
        <>
          {!bits && <div class="com-kind row wrap"><span class="dim">{words.kind}</span>{(["float32", "uint32", "int32"] as const).map((each) => <button key={each} type="button" class="chip-filter" aria-pressed={kind === each} onClick={() => choose(each)}>{words[each]}</button>)}</div>}
          <div class="scroll-x"><table class="table com-registers mono">
            <thead><tr><th>{words.addr}</th><th class="number">{words.hex}</th><th class="number">{words.u16}</th>{!bits && <th class="number">{words.i16}</th>}{!bits && ORDERS.map((each) => <th key={each} class="number">{each}</th>)}</tr></thead>
            <tbody>{runs(found).map(({ one, last, code }) => <Row key={one.address} one={one} last={last} kind={kind} bits={bits} changed={changed.has(one.address)} code={code} />)}</tbody>
          </table></div>
          <p class="com-none dim small">{words.changed}</p>
        </>
      )}
    </section>
  );
}

/** Registers in their order; those that were refused alike, one after the other, as one. */
function runs(found: Registers): { one: Register; last: number; code: number | undefined }[] {
  const made: { one: Register; last: number; code: number | undefined }[] = [];
  for (const one of found.registers) {
    const before = made.at(-1);
    const code = found.refused[String(one.address)];
    if (before && one.word === null && before.one.word === null && before.code === code && before.last + 1 === one.address) before.last = one.address;
    else made.push({ one, last: one.address, code });
  }
  return made;
}

function Row({ one, last, kind, bits, changed, code }: { one: Register; last: number; kind: Kind; bits: boolean; changed: boolean; code: number | undefined }) {
  const words = t();
  if (one.word === null) return <tr><td>{one.address}{last > one.address && ` – ${last}`}</td><td colSpan={bits ? 2 : 7} class="dim">{code === undefined ? words.noValue : words.exception(String(code))}</td></tr>;
  const wide = one[kind];
  return (
    <tr class={changed ? "com-changed" : ""}>
      <td>{one.address}</td><td class="number">{one.word.toString(16).toUpperCase().padStart(4, "0")}</td><td class="number">{one.word}</td>
      {!bits && <td class="number">{one.int16}</td>}
      {!bits && ORDERS.map((each) => <td key={each} class="number">{wide?.[each] === undefined ? "" : plain(wide[each], kind)}</td>)}
    </tr>
  );
}

/** As short as it can be said without lying: what is no plausible value looks like it. */
function plain(n: number, kind: Kind): string {
  if (kind !== "float32") return String(n);
  const size = Math.abs(n);
  return n === 0 ? "0" : size >= 1e7 || size < 1e-4 ? n.toExponential(2) : String(Number(n.toPrecision(7)));
}

export function Guessing({ place, set }: { place: Place; set: (place: Place) => void }) {
  const words = t();
  const order = useOrder();
  const [form, change] = useState({ value: "", value_unit: "", full_scale: "", address: 0, count: 64 });
  const [found, show] = useState<Guesses | null>(null);
  const where = JSON.stringify([place, form.address, form.count]);
  // What was seen elsewhere says nothing about these registers.
  useEffect(() => show(null), [where]);
  const ask = async (): Promise<void> => {
    const done = await order.give(async () => {
      show(await post<Guesses>("commissioning/guess", {
        ...placeOf(place), value: form.value.trim(), value_unit: form.value_unit.trim(), full_scale: form.full_scale ? Number(form.full_scale) : null,
        address: form.address, count: form.count, samples: found?.samples ?? [],
      }));
    });
    if (done) change({ ...form, value: "" });
  };
  return (
    <section class="pane" aria-label={words.guess}>
      <header><h2>{words.guess}</h2></header>
      <form class="com-form" onSubmit={(e) => { e.preventDefault(); void ask(); }}>
        <p class="com-wide dim">{words.guessTold}</p>
        <Where place={place} set={set} />
        <Number_ label={words.address} value={form.address} max={65_535} set={(address) => change({ ...form, address })} />
        <Number_ label={words.count} value={form.count} min={1} max={128} set={(count) => change({ ...form, count })} />
        <label class="field"><span>{words.shown}</span><input value={form.value} required inputMode="decimal" pattern="-?\d+(\.\d+)?" placeholder="17.2" onInput={(e) => change({ ...form, value: e.currentTarget.value })} /></label>
        <label class="field"><span>{words.unitOf}</span><input value={form.value_unit} maxLength={32} placeholder="%LEL" onInput={(e) => change({ ...form, value_unit: e.currentTarget.value })} /></label>
        <label class="field"><span>{words.fullScale}</span><input type="number" step="any" value={form.full_scale} onInput={(e) => change({ ...form, full_scale: e.currentTarget.value })} /></label>
        <div class="row com-wide"><button type="submit" class="main" disabled={order.busy || !canOrder()}>{words.ask}</button>{found && <><span class="dim">{words.samples(String(found.samples.length))}</span><button type="button" class="quiet" onClick={() => show(null)}>{words.forget}</button></>}</div>
        <div class="com-wide"><Refused text={order.refused} /></div>
      </form>
      {found && (
        <>
          <p class="com-advice">{found.unique && <b>{words.unique}. </b>}{found.guesses.length ? found.advice : `${words.noGuess} ${found.advice}`}</p>
          {found.guesses.length > 0 && (
            <div class="scroll-x"><table class="table">
              <thead><tr><th>{words.table}</th><th class="number">{words.addr}</th><th>{words.type}</th><th>{words.order}</th><th class="number">{words.scale}</th><th class="number">{words.gives}</th><th class="number">{words.share}</th></tr></thead>
              <tbody>{found.guesses.slice(0, 12).map((one, k) => <tr key={k} class={k === 0 ? "com-best" : ""}><td>{one.table}</td><td class="number">{one.address}</td><td>{one.type}</td><td class="mono">{one.order}{one.twins.length > 0 && <span class="dim small"> {words.twins} {one.twins.join(", ")}</span>}</td><td class="number">{one.scale}</td><td class="number">{Number(one.value.toPrecision(7))}</td><td class="number">{(one.share * 100).toFixed(0)} %</td></tr>)}</tbody>
            </table></div>
          )}
          {found.yaml && <Snippet yaml={found.yaml} />}
        </>
      )}
    </section>
  );
}
