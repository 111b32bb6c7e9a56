// Instruments by their connection; a connection with trouble stands first and open.
import { useState } from "preact/hooks";
import { href } from "../../app/route";
import { now } from "../../live/state";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { may } from "../../parts/order";
import { span } from "../../parts/time";
import { qualityWord } from "../../parts/words";
import { count, Part } from "./part";
import type { Instrument } from "./types";
import { t } from "./words";

const SHOWN_MAX = 100;

export function Instruments({ all }: { all: Instrument[] }) {
  const words = t();
  if (!all.length) {
    return <Part title={words.instruments}><div class="empty"><strong>{words.noInstruments}</strong><p>{words.firstSteps}</p>{may("engineer") && <a class="button main" href={href("commissioning")}>{words.begin}</a>}</div></Part>;
  }
  const by = new Map<string, Instrument[]>();
  for (const one of all) by.set(one.connection, [...(by.get(one.connection) ?? []), one]);
  const off = (some: Instrument[]): number => some.filter((one) => !one.online).length;
  const sorted = [...by].sort(([a, x], [b, y]) => off(y) - off(x) || a.localeCompare(b));
  return (
    <Part title={words.instruments} told={`${all.length - off(all)} / ${all.length} ${words.online}`}>
      {sorted.map(([id, some]) => <Connection key={id} id={id} some={some} />)}
    </Part>
  );
}

function Connection({ id, some }: { id: string; some: Instrument[] }) {
  const words = t();
  const off = some.filter((one) => !one.online);
  const [open, setOpen] = useState<boolean | null>(null);
  const [whole, showAll] = useState(false);
  const shown = open ?? (off.length > 0 || some.length <= 8);
  const rows = [...some].sort((a, b) => Number(a.online) - Number(b.online) || a.id.localeCompare(b.id));
  const seen = whole ? rows : rows.slice(0, SHOWN_MAX);
  const bad = some.reduce((sum, one) => sum + one.bad, 0);
  return (
    <div class="sys-connection">
      <button type="button" class="quiet sys-opener" aria-expanded={shown} onClick={() => setOpen(!shown)}>
        <Icon name={shown ? "down" : "right"} size={16} />
        <b>{id}</b><span class="dim">{some[0]?.type}</span>
        <span class="grow" />
        {off.length > 0 && <span class="sys-off"><Mark priority={3} level="fault" size={18} silent />{off.length} {words.off}</span>}
        <span class="dim">{some.length - off.length} / {some.length} {words.online}</span>
        {bad > 0 && <span class="dim sys-bad">{count(bad)} {words.bad}</span>}
      </button>
      {shown && (
        <ul class="sys-instruments">
          {seen.map((one) => (
            <li key={one.id} class={one.online ? "" : "sys-down"}>
              {one.online ? <i class="sys-dot" aria-label={words.online} role="img" /> : <Mark priority={3} level="fault" size={18} />}
              <a href={href("instrument", one.id)} class="clip">{one.id}</a>
              <span class="sys-when">{one.last ? span(now.value - Date.parse(one.last)) : words.never}</span>
              <span class="dim sys-num">{count(one.readings)}{one.bad > 0 && ` · ${count(one.bad)} ${words.bad}`}</span>
              <span class="sys-reason">{one.online ? "" : one.reason ? qualityWord(one.reason) : words.off}</span>
            </li>
          ))}
          {rows.length > seen.length && <li class="sys-rest"><button type="button" class="quiet" onClick={() => showAll(true)}>{words.more(String(rows.length - seen.length))}</button></li>}
        </ul>
      )}
    </div>
  );
}
