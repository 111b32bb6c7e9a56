// How the gateway itself is doing: what is wrong first, then every part.
import { href } from "../../app/route";
import { test } from "../../app/sound";
import { alarms, epoch, isAside, now, site, skew } from "../../live/state";
import { useAsk } from "../../parts/ask";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { may, reason, Refused } from "../../parts/order";
import { moment, spoken } from "../../parts/time";
import { about, isSystem } from "../../parts/words";
import { Aside } from "./aside";
import { Deliveries, NotifierTable, Outputs } from "./deliveries";
import { Instruments } from "./instruments";
import { count, Part } from "./part";
import type { Instrument, Notifier, Output, Uplink } from "./types";
import { t } from "./words";
import "./system.css";

const OFTEN_MS = 5000;
const SKEW_MS = 5000;

interface Found { instruments: Instrument[]; uplinks: Uplink[]; outputs: Output[]; notifiers: Notifier[]; figures: Record<string, number> }

export default function System() {
  const words = t();
  const instruments = useAsk<{ instruments: Instrument[] }>("instruments", OFTEN_MS);
  const uplinks = useAsk<{ uplinks: Uplink[] }>("uplinks", OFTEN_MS);
  const outputs = useAsk<{ outputs: Output[] }>("outputs", OFTEN_MS);
  const notifiers = useAsk<{ notifiers: Notifier[] }>("notifiers", OFTEN_MS);
  const figures = useAsk<{ statistics: Record<string, number> }>("statistics", OFTEN_MS);
  const refusal = [instruments, uplinks, outputs, figures].find((one) => one.refusal)?.refusal;
  const found: Found = {
    instruments: instruments.data?.instruments ?? [], uplinks: uplinks.data?.uplinks ?? [], outputs: outputs.data?.outputs ?? [],
    notifiers: notifiers.data?.notifiers ?? [], figures: figures.data?.statistics ?? {},
  };
  const complete = instruments.data !== null && uplinks.data !== null && figures.data !== null;
  return (
    <section class="page sys-page">
      <div class="page-head">
        <h1>{words.title}</h1>
        <span class="dim">Hazgate {site.value?.version}{found.figures["uptime_s"] ? ` · ${words.up} ${spoken(found.figures["uptime_s"] * 1000)}` : ""}</span>
        <span class="grow" />
        <nav class="row wrap" aria-label={words.title}>
          <a class="button" href={href("statistics")}><Icon name="chart" />{words.statistics}</a>
          {may("engineer") && <a class="button" href={href("commissioning")}><Icon name="tools" />{words.commissioning}</a>}
          {may("administrator") && <a class="button" href={href("people")}><Icon name="people" />{words.people}</a>}
        </nav>
      </div>
      {refusal && <Refused text={reason(refusal)} />}
      {complete && <Trouble found={found} />}
      {instruments.data && <Instruments all={found.instruments} />}
      <div class="sys-columns">
        {uplinks.data && <Deliveries all={found.uplinks} />}
        {notifiers.data && <NotifierTable all={found.notifiers} done={notifiers.again} />}
        {outputs.data && found.outputs.length > 0 && <Outputs all={found.outputs} />}
      </div>
      <div class="sys-three">
        <Aside state="shelved" title={words.shelved} none={words.noneShelved} />
        <Aside state="out_of_service" title={words.outOfService} none={words.noneOut} />
        <Aside state="suppressed" title={words.suppressed} none={words.noneSuppressed} />
        {figures.data && <Disk figures={found.figures} />}
        <Clock />
        <Part title={words.sound}><div class="sys-sound"><button type="button" onClick={test}><Icon name="sound" />{words.soundTest}</button></div></Part>
      </div>
      {figures.data && <AllFigures figures={found.figures} />}
    </section>
  );
}

function Trouble({ found }: { found: Found }) {
  const words = t();
  const lines = troubles(found);
  if (!lines.length) {
    const online = found.instruments.filter((one) => one.online).length;
    return <div class="pane sys-well"><Icon name="check" size={24} /><div><b>{words.well}</b><p class="dim">{words.wellTold(String(online))}</p></div></div>;
  }
  return (
    <section class="pane sys-trouble" aria-label={words.trouble}>
      <header><h2>{words.trouble}</h2><span class="sys-count">{lines.length}</span></header>
      <ul>{lines.map((line) => <li key={line.key}><Mark priority={line.priority} level="fault" size={20} /><div class="grow"><b>{line.what}</b>{line.why && <p class="dim">{line.why}</p>}</div></li>)}</ul>
    </section>
  );
}

interface Line { key: string; priority: number; what: string; why: string }

/** All that is not as it should be: the gateway's own alarms, then what no alarm tells. */
function troubles({ instruments, uplinks, outputs, notifiers, figures }: Found): Line[] {
  const words = t();
  const own = alarms.value.filter((one) => isSystem({ alarm: one.id }) && one.condition !== "normal" && !isAside(one));
  const told = (id: string): boolean => own.some((one) => one.id.endsWith(`/${id}`));
  const lines: Line[] = own.map((one) => { const { what, why } = about(one); return { key: one.id, priority: one.priority, what, why }; });
  const add = (key: string, what: string, why = "", priority = 3): void => { lines.push({ key, priority, what, why }); };
  const offline = instruments.filter((one) => !one.online);
  if (offline.length) add("offline", words.offline(String(offline.length), String(instruments.length)), offline.slice(0, 8).map((one) => one.id).join(", ") + (offline.length > 8 ? " …" : ""));
  for (const one of uplinks) {
    if (!one.up && !told(one.id)) add(`up ${one.id}`, words.down(one.id), one.reason);
    if (one.dead) add(`dead ${one.id}`, words.dead(one.id, String(one.dead)), one.reason);
  }
  for (const one of notifiers) if (!one.up && !told(one.id)) add(`tell ${one.id}`, words.notTold(one.id), one.reason);
  for (const one of outputs) {
    if (one.shown === null) add(`out ${one.id}`, words.unknown(one.label || one.id), one.reason);
    else if (one.shown !== one.wanted) add(`out ${one.id}`, words.refuses(one.label || one.id), one.reason, 2);
  }
  if (figures["events_not_on_disk"]) add("journal", words.unsaved(String(figures["events_not_on_disk"])), "", 2);
  if (figures["spool_dropped_total"]) add("spool", words.dropped(String(figures["spool_dropped_total"])));
  if (Math.abs(skew.value) > SKEW_MS) add("skew", words.skew(spoken(Math.abs(skew.value)), skew.value > 0 ? words.ahead : words.behind), "", 4);
  return lines.sort((a, b) => a.priority - b.priority);
}

function Disk({ figures }: { figures: Record<string, number> }) {
  const words = t();
  const of = (name: string): number => figures[name] ?? 0;
  const bad = of("readings_total") ? (of("bad_readings_total") / of("readings_total")) * 100 : 0;
  return (
    <Part title={words.disk}>
      <dl class="facts sys-facts">
        <dt>{words.events}</dt><dd>{count(of("events_total"))} · {of("events_not_on_disk") ? <b class="sys-warn">{words.notOnDisk(count(of("events_not_on_disk")))}</b> : words.onDisk}</dd>
        <dt>{words.spool}</dt><dd>{bytes(of("spool_bytes"))} · {words.lost} {of("spool_dropped_total") ? <b class="sys-warn">{count(of("spool_dropped_total"))}</b> : words.none_}</dd>
        <dt>{words.readingsTotal}</dt><dd>{count(of("readings_total"))} · {words.badShare} {bad.toFixed(1)} %</dd>
        <dt>{words.rules}</dt><dd>{words.learning(count(of("rules_learning")))} · {words.resting(count(of("rules_over_budget")))}</dd>
        <dt>{words.epoch}</dt><dd class="mono clip">{epoch.value}</dd>
      </dl>
      <p class="sys-links row wrap"><a href="api/v1/export/journal?form=csv" download>{words.export} (CSV)</a><a href="api/v1/export/journal?form=jsonl" download>JSON Lines</a><span class="dim small">{words.verify}</span></p>
    </Part>
  );
}

function Clock() {
  const words = t();
  const far = Math.abs(skew.value) > SKEW_MS;
  return (
    <Part title={words.clock}>
      <dl class="facts sys-facts">
        <dt>{words.gateway}</dt><dd>{now.value ? moment(now.value) : ""}</dd>
        <dt>{words.zone}</dt><dd>{site.value?.timezone}</dd>
        <dt>{words.here}</dt><dd>{now.value ? moment(now.value + skew.value) : ""}</dd>
        <dt>{words.differ}</dt><dd>{far ? <b class="sys-warn">{spoken(Math.abs(skew.value))}</b> : `${(skew.value / 1000).toFixed(1)} s`}</dd>
      </dl>
    </Part>
  );
}

function AllFigures({ figures }: { figures: Record<string, number> }) {
  const words = t();
  return (
    <details class="pane sys-all"><summary><h2>{words.figures}</h2></summary>
      <p class="sys-links"><a href="metrics" target="_blank" rel="noopener">{words.metrics} (Prometheus)</a></p>
      <dl>{Object.entries(figures).sort(([a], [b]) => a.localeCompare(b)).map(([name, figure]) => <div key={name}><dt class="mono">{name}</dt><dd class="number">{Number.isInteger(figure) ? count(figure) : figure.toPrecision(6)}</dd></div>)}</dl>
    </details>
  );
}

const bytes = (n: number): string => (n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(1)} GiB` : n >= 2 ** 20 ? `${(n / 2 ** 20).toFixed(0)} MiB` : `${(n / 1024).toFixed(0)} KiB`);
