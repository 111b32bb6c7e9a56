// What leaves the gateway: to stores and platforms, to people, to sounders.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { part, post } from "../../api";
import { now } from "../../live/state";
import { Mark } from "../../parts/mark";
import { canOrder, Refused, useOrder } from "../../parts/order";
import { spoken, Time } from "../../parts/time";
import { count, Part } from "./part";
import type { Notifier, Output, Uplink } from "./types";
import { t } from "./words";

export function Deliveries({ all }: { all: Uplink[] }) {
  const words = t();
  const sorted = [...all].sort((a, b) => Number(a.up) - Number(b.up) || b.waiting - a.waiting);
  return (
    <Part title={words.deliveries} wide>
      {all.length ? <ul class="sys-rows">{sorted.map((one) => (
        <li key={one.id}>
          <Health up={one.up} />
          <div class="sys-who"><b>{one.id}</b><span class="dim">{one.kind === "store" ? words.store : words.uplink} · {one.type}</span></div>
          <span class={one.up ? "dim sys-state" : "sys-state sys-warn"}>{one.up ? words.delivers : words.fails}</span>
          <Figure name={words.waiting} figure={count(one.waiting)} warn={one.waiting > 0 && !one.up} told={one.oldest ? `${words.oldest} ${spoken(now.value - Date.parse(one.oldest))}` : ""} />
          <Figure name={words.delivered} figure={count(one.delivered)} told={<Time at={one.last} />} />
          <Figure name={words.deadHead} figure={count(one.dead)} warn={one.dead > 0} />
          {one.reason && <p class="sys-why">{one.reason}</p>}
        </li>
      ))}</ul> : <p class="sys-none dim">{words.none}</p>}
    </Part>
  );
}

export function NotifierTable({ all, done }: { all: Notifier[]; done: () => void }) {
  const words = t();
  const sorted = [...all].sort((a, b) => Number(a.up) - Number(b.up));
  return (
    <Part title={words.notifiers} wide>
      {all.length ? <ul class="sys-rows">{sorted.map((one) => <NotifierRow key={one.id} one={one} done={done} />)}</ul> : <p class="sys-none dim">{words.none}</p>}
    </Part>
  );
}

function NotifierRow({ one, done }: { one: Notifier; done: () => void }) {
  const words = t();
  const order = useOrder();
  const [told, tell] = useState<{ ok: boolean; detail: string } | null>(null);
  const health: Record<string, string> = { ok: words.ok, busy: words.busy, failing: words.failing, unknown: words.unknownHealth };
  const test = async (): Promise<void> => {
    tell(null);
    if (await order.give(async () => { tell(await post<{ ok: boolean; detail: string }>(`notifiers/${part(one.id)}/test`)); })) done();
  };
  return (
    <li>
      <Health up={one.up} />
      <div class="sys-who"><b>{one.id}</b><span class="dim">{one.type}</span></div>
      <span class={one.up ? "dim sys-state" : "sys-state sys-warn"}>{health[one.health] ?? one.health}</span>
      <Figure name={words.waiting} figure={count(one.waiting)} warn={one.waiting > 0 && !one.up} />
      <Figure name={words.sent} figure={count(one.sent)} told={<Time at={one.last_at} />} />
      <Figure name={words.failed} figure={count(one.failed)} warn={one.failed > 0 && !one.up} />
      <button type="button" disabled={order.busy || !canOrder()} onClick={() => void test()}>{order.busy ? words.testing : words.test}</button>
      {one.reason && <p class="sys-why">{one.reason}</p>}
      {told && <p class={told.ok ? "sys-why sys-told" : "sys-why sys-told sys-warn"} role="status"><b>{told.ok ? words.tested : words.notTested}</b> {told.detail}</p>}
      {order.refused && <div class="sys-why"><Refused text={order.refused} /></div>}
    </li>
  );
}

export function Outputs({ all }: { all: Output[] }) {
  const words = t();
  const shown = (one: Output): string => (one.shown === null ? words.nobody : one.shown ? words.on : words.offState);
  return (
    <Part title={words.outputs} wide>
      <ul class="sys-rows">{all.map((one) => (
        <li key={one.id}>
          <Health up={one.shown === one.wanted} />
          <div class="sys-who"><b>{one.label || one.id}</b><span class="dim">{one.connection}</span></div>
          <span class="dim sys-state">{one.alarms > 0 && words.byAlarms(String(one.alarms))}</span>
          <Figure name={words.wanted} figure={one.wanted ? words.on : words.offState} />
          <Figure name={words.shown} figure={shown(one)} warn={one.shown !== one.wanted} told={<Time at={one.last} />} />
          <span />
          {one.reason && <p class="sys-why">{one.reason}</p>}
        </li>
      ))}</ul>
    </Part>
  );
}

const Health = ({ up }: { up: boolean }) => (up ? <i class="sys-dot" aria-hidden="true" /> : <Mark priority={3} level="fault" size={20} />);

function Figure({ name, figure, told, warn = false }: { name: string; figure: string; told?: ComponentChildren; warn?: boolean }) {
  return <span class="sys-figure"><small class="dim">{name}</small><b class={warn ? "sys-warn" : ""}>{figure}</b>{told && <small class="dim">{told}</small>}</span>;
}
