// What can be found: the serial ports of this machine, and who answers on them.
import { useEffect, useState } from "preact/hooks";
import { post } from "../../api";
import { Icon } from "../../parts/icon";
import { canOrder, reason, Refused, useOrder } from "../../parts/order";
import { useAsk } from "../../parts/ask";
import { spoken } from "../../parts/time";
import { Snippet } from "./snippet";
import { BAUDS, type Found, type Place, type Port, type Scan } from "./types";
import { t } from "./words";

export function Ports({ use }: { use: (endpoint: string) => void }) {
  const words = t();
  const { data, refusal, again } = useAsk<{ ports: Port[] }>("commissioning/ports");
  return (
    <section class="pane" aria-label={words.ports}>
      <header><h2 class="grow">{words.ports}</h2><button type="button" onClick={again}>{words.again}</button></header>
      {refusal && <Refused text={reason(refusal)} />}
      {data && !data.ports.length && <p class="com-none dim">{words.noPorts}</p>}
      <ul class="com-list">{data?.ports.map((port) => (
        <li key={port.path}>
          <div class="grow com-text"><b class="mono">{port.path}</b><span class="dim">{[port.path === port.device ? "" : port.device, port.product || port.driver].filter(Boolean).join(" · ")}</span>
            {!port.allowed && <span class="com-warn">{words.notAllowed(port.group)}</span>}
            {port.users.length > 0 && <span>{words.usedBy} {port.users.join(", ")}</span>}
            {port.warnings.map((warning) => <span key={warning} class="com-warn">{warning}</span>)}
          </div>
          <button type="button" onClick={() => use(port.path)}>{words.use}</button>
        </li>
      ))}</ul>
    </section>
  );
}

const ASK_MS = 700;
/** How a scan ends that did not go wrong. */
const ENDS = new Set(["", "done", "stopped"]);

export function Scanning({ endpoint, setEndpoint, choose }: { endpoint: string; setEndpoint: (text: string) => void; choose: (place: Partial<Place>) => void }) {
  const words = t();
  const order = useOrder();
  const { data: scan, again } = useAsk<Scan>("commissioning/scan");
  const [form, set] = useState({ units: "1-32", baud: 0, thorough: false });
  const running = scan?.running ?? false;
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(again, ASK_MS);
    return () => clearInterval(timer);
  }, [running, again]);
  const begin = async (): Promise<void> => {
    await order.give(() => post("commissioning/scan", { endpoints: [endpoint.trim()], units: form.units, thorough: form.thorough, ...(form.baud ? { baud: [form.baud] } : {}) }));
    again();
  };
  const serial = !endpoint.startsWith("tcp");
  return (
    <section class="pane" aria-label={words.scan}>
      <header><h2>{words.scan}</h2></header>
      <form class="com-form" onSubmit={(e) => { e.preventDefault(); void begin(); }}>
        <label class="field com-wide"><span>{words.endpoint}</span><input class="mono" value={endpoint} required spellcheck={false} placeholder={words.endpointHint} onInput={(e) => setEndpoint(e.currentTarget.value)} /></label>
        <label class="field"><span>{words.units}</span><input value={form.units} required onInput={(e) => set({ ...form, units: e.currentTarget.value })} /></label>
        {serial && <label class="field"><span>{words.lines}</span><select value={form.baud} onChange={(e) => set({ ...form, baud: Number(e.currentTarget.value) })}><option value={0}>{words.allLines}</option>{BAUDS.map((baud) => <option key={baud} value={baud}>{baud}</option>)}</select></label>}
        <label class="check"><input type="checkbox" checked={form.thorough} onChange={(e) => set({ ...form, thorough: e.currentTarget.checked })} />{words.thorough}</label>
        <div class="row com-wide">
          {running ? <button type="button" onClick={() => void order.give(() => post("commissioning/scan/stop")).then(again)}><Icon name="close" />{words.stop}</button> : <button type="submit" class="main" disabled={order.busy || !canOrder()}><Icon name="search" />{words.begin}</button>}
          {scan && (running || scan.ended) && <span class="dim" role="status">{running ? `${words.running} ${scan.total ? words.progress(String(scan.done), String(scan.total)) : ""}${scan.left_s ? ` · ${words.left} ${spoken(scan.left_s * 1000)}` : ""}` : [words.ended, scan.ended === "stopped" ? words.stopped : "", words.found(String(scan.found.length))].filter(Boolean).join(" · ")}</span>}
        </div>
        {scan && scan.total > 0 && <progress class="com-wide" max={scan.total} value={scan.done} aria-label={words.scan} />}
        <div class="com-wide"><Refused text={order.refused || (scan && !ENDS.has(scan.ended) ? scan.ended : "")} /></div>
      </form>
      {scan && (running || scan.ended) && (scan.found.length
        ? <ul class="com-list">{scan.found.map((found) => <Answer key={`${found.endpoint} ${found.unit} ${found.line}`} found={found} choose={choose} />)}</ul>
        : !running && ENDS.has(scan.ended) && <p class="com-none dim">{words.nobody}</p>)}
      {scan?.hints.map((hint) => <p key={hint} class="note">{hint}</p>)}
      {scan?.yaml && <Snippet yaml={scan.yaml} />}
    </section>
  );
}

function Answer({ found, choose }: { found: Found; choose: (place: Partial<Place>) => void }) {
  const words = t();
  const line = /^(\d+) 8([NEO])([12])$/.exec(found.line);
  const named = Object.values(found.identification).join(" ");
  return (
    <li>
      <b class="com-unit">{found.unit}</b>
      <div class="grow com-text"><span>{named || found.profiles.join(", ") || found.answer}{found.sure && <span class="chip">{words.sure}</span>}</span><span class="dim mono small">{found.endpoint} {found.line} · {(found.latency_s * 1000).toFixed(0)} ms</span>{found.note && <span class="com-warn">{found.note}</span>}</div>
      <button type="button" onClick={() => choose({ connection: "", endpoint: found.endpoint, unit: found.unit, ...(line ? { baud: Number(line[1]), parity: line[2] as Place["parity"], stop_bits: Number(line[3]) as 1 | 2 } : {}) })}>{words.look}</button>
    </li>
  );
}
