// Accounts of people and tokens of machines, for administrators.
import { useState } from "preact/hooks";
import { part, post, send, session } from "../../api";
import { Chip } from "../../parts/chip";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { Menu } from "../../parts/menu";
import { useAsk } from "../../parts/ask";
import { reason, Refused, useOrder } from "../../parts/order";
import { clock, Time } from "../../parts/time";
import { toast } from "../../parts/toast";
import { now } from "../../live/state";
import { openDoor } from "../signin/door";
import { roleMeaning, roleWord } from "../signin/signin";
import { AccountForm, Made, TokenForm } from "./forms";
import { ROLES, type Account, type Token } from "./types";
import { t } from "./words";
import "./people.css";

type Asked = { kind: "add" } | { kind: "reset"; of: Account } | { kind: "token" } | { kind: "made"; of: Token } | { kind: "sure"; text: string; act: string; order: () => Promise<unknown> };

export default function People() {
  const words = t();
  const accounts = useAsk<{ accounts: Account[] }>("accounts", 30_000);
  const tokens = useAsk<{ tokens: Token[] }>("tokens", 30_000);
  const [asked, ask] = useState<Asked | null>(null);
  const again = (): void => { accounts.again(); tokens.again(); };
  const shut = (): void => { ask(null); again(); };
  const status = accounts.refusal?.status;
  if (!accounts.data && status) {
    return (
      <section class="page people-page"><div class="page-head"><h1>{words.title}</h1></div>
        {session.value.setup
          ? <div class="pane empty"><strong>{words.setup}</strong><p>{words.setupTold}</p><button type="button" class="main" onClick={() => openDoor("setup")}>{words.makeFirst}</button></div>
          : status === 401 || status === 403
            ? <div class="pane empty"><strong>{words.only}</strong>{!session.value.signed_in && <button type="button" class="main" onClick={() => openDoor("in")}>{words.signIn}</button>}</div>
            : status === 404 ? <p class="note">{words.absent}</p> : <Refused text={reason(accounts.refusal)} />}
      </section>
    );
  }
  return (
    <section class="page people-page">
      <div class="page-head"><h1>{words.title}</h1><span class="grow" /><button type="button" class="main" onClick={() => ask({ kind: "add" })}><Icon name="plus" />{words.add}</button></div>
      {accounts.refusal && <Refused text={reason(accounts.refusal)} />}
      <section class="pane" aria-label={words.accounts}>
        <header><h2>{words.accounts}</h2><span class="dim">{accounts.data?.accounts.length}</span></header>
        <ul class="people-list">{accounts.data?.accounts.map((one) => <Person key={one.name} one={one} ask={ask} again={again} />)}</ul>
        <p class="people-told dim small">{words.own}</p>
      </section>
      <section class="pane" aria-label={words.tokens}>
        <header><h2>{words.tokens}</h2><span class="dim grow">{tokens.data?.tokens.length || ""}</span><button type="button" onClick={() => ask({ kind: "token" })}><Icon name="key" />{words.addToken}</button></header>
        {tokens.refusal && <Refused text={reason(tokens.refusal)} />}
        {tokens.data?.tokens.length === 0 && <p class="people-told dim">{words.noTokens}</p>}
        <ul class="people-list">{tokens.data?.tokens.map((one) => (
          <li key={one.name} class="people-token"><Icon name="key" /><b class="clip">{one.name}</b><span>{roleWord(one.role)}</span><span class="dim">{words.made} <Time at={one.created_at} /></span>
            <button type="button" onClick={() => ask({ kind: "sure", text: words.revokeSure(one.name), act: words.revoke, order: () => send("DELETE", `tokens/${part(one.name)}`) })}>{words.revoke}</button></li>
        ))}</ul>
        <p class="people-told dim small">{words.tokenTold}</p>
      </section>
      <section class="pane people-roles" aria-label={words.role}><dl class="facts">{ROLES.map((role) => <><dt key={role}>{roleWord(role)}</dt><dd>{roleMeaning(role)}</dd></>)}</dl></section>
      {asked?.kind === "add" && <AccountForm shut={shut} />}
      {asked?.kind === "reset" && <AccountForm of={asked.of} shut={shut} />}
      {asked?.kind === "token" && <TokenForm shut={shut} made={(of) => { again(); ask({ kind: "made", of }); }} />}
      {asked?.kind === "made" && <Made token={asked.of} shut={shut} />}
      {asked?.kind === "sure" && <Sure asked={asked} shut={shut} />}
    </section>
  );
}

function Person({ one, ask, again }: { one: Account; ask: (asked: Asked) => void; again: () => void }) {
  const words = t();
  const order = useOrder();
  const self = one.name === session.value.name;
  const path = `accounts/${part(one.name)}`;
  const change = async (body: object): Promise<void> => { if (await order.give(() => send("PATCH", path, body))) toast(words.saved); again(); };
  const locked = one.locked_until !== null && Date.parse(one.locked_until) > now.value;
  const name = one.display_name || one.name;
  return (
    <li class={one.enabled ? "people-person" : "people-person people-off"}>
      <span class="people-face" aria-hidden="true">{[...name][0]}</span>
      <span class="people-who"><b class="clip">{name}{self && <span class="dim"> · {words.you}</span>}</b><span class="dim small clip">{one.name}</span></span>
      <label class="people-role"><span class="hidden-text">{words.role}</span>
        <select value={one.role} disabled={order.busy} onChange={(e) => void change({ role: e.currentTarget.value })}>{ROLES.map((role) => <option key={role} value={role}>{roleWord(role)}</option>)}</select></label>
      <span class="people-last"><span>{one.last_at ? <Time at={one.last_at} /> : words.never}</span><span class="dim small">{one.sessions > 1 ? words.places(String(one.sessions)) : one.sessions ? words.place : words.nowhere}</span></span>
      <span class="people-state">
        {!one.enabled && <Chip tone="strong">{words.disabled}</Chip>}
        {locked && <Chip tone="warn">{words.locked} {words.until} {clock(one.locked_until!)}</Chip>}
        {one.enabled && one.must_change && <Chip>{words.mustChange}</Chip>}
      </span>
      <Menu label={`${words.more}: ${name}`} face={<>{words.more}<Icon name="down" size={14} /></>}>
        {!self && <button type="button" onClick={() => ask({ kind: "reset", of: one })}><Icon name="key" />{words.reset}</button>}
        <button type="button" disabled={!one.sessions} onClick={() => ask({ kind: "sure", text: words.outSure(name), act: words.out, order: () => post(`${path}/sign-out`) })}><Icon name="out" />{words.out}</button>
        {one.enabled
          ? <button type="button" onClick={() => ask({ kind: "sure", text: words.disableSure(name), act: words.disable, order: () => send("PATCH", path, { enabled: false }) })}><Icon name="close" />{words.disable}</button>
          : <button type="button" onClick={() => void change({ enabled: true })}><Icon name="check" />{words.enable}</button>}
        <hr />
        <button type="button" onClick={() => ask({ kind: "sure", text: words.removeSure(name), act: words.remove, order: () => send("DELETE", path) })}><Icon name="close" />{words.remove}</button>
      </Menu>
      {order.refused && <div class="people-refused"><Refused text={order.refused} /></div>}
    </li>
  );
}

function Sure({ asked, shut }: { asked: Extract<Asked, { kind: "sure" }>; shut: () => void }) {
  const words = t();
  const order = useOrder();
  const act = async (): Promise<void> => { if (await order.give(asked.order)) { toast(words.done); shut(); } };
  return (
    <Dialog title={asked.act} onClose={shut} onSubmit={() => void act()} foot={<><button type="button" onClick={shut}>{words.cancel}</button><button type="submit" class="main" disabled={order.busy}>{asked.act}</button></>}>
      <p>{asked.text}</p>
      <Refused text={order.refused} />
    </Dialog>
  );
}
