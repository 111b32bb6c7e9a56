// One dialog for every order about alarms: what it is about, what it needs, and what became of it.
import { useState } from "preact/hooks";
import { now, site } from "../live/state";
import { order, type Order, type Verb } from "../live/orders";
import type { Alarm } from "../live/types";
import { post, Refusal } from "../api";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { Mark } from "../parts/mark";
import { canOrder, may, Refused, useOrder } from "../parts/order";
import { clock, moment, spoken } from "../parts/time";
import { toast } from "../parts/toast";
import { about, areaName, shownValue } from "../parts/words";
import { lang, texts } from "../text";
import { asking, type Asking } from "./asking";
import "./order_dialog.css";

const words = texts({
  en: {
    acknowledge: "Acknowledge", reset: "Reset", shelve: "Shelve", unshelve: "Unshelve", "out-of-service": "Take out of service", "return-to-service": "Return to service",
    cancel: "Cancel", note: "Note", optional: "optional", needed: "required for this alarm", why: "Reason", more: "In your own words", howLong: "For how long",
    permit: "Permit", permitHint: "Number or name of the work permit", end: "Ends", endHint: "It does not come back by itself: when the time is over, the gateway demands to return it or to prolong the permit.",
    scope: "What", one: "This alarm", these: (n: string) => `These ${n} alarms`, instrument: (id: string) => `All of instrument ${id}`, area: (name: string) => `All of ${name}`,
    about: (n: string) => `${n} alarms`, seenSays: "You say that you have seen it. It stays listed until its condition is gone.", resetSays: "If the condition is still there, it is raised again with the next reading.",
    shelveSays: "Silent and off the list until then; a rise in level brings it back at once.", ends: (at: string) => `until ${at}`, red: "Priority 1 may only be shelved by an engineer here.",
    done: (n: string, verb: string) => `${verb}: ${n} done`, doneOne: (verb: string, what: string) => `${verb}: ${what}`, some: (n: string) => `${n} refused:`, maxed: (s: string) => `At most ${s} for your role.`,
    tells: "Say a reason.", lost: "No link to the gateway: nothing can be ordered.",
  },
  zh: {
    acknowledge: "确认", reset: "复位", shelve: "搁置", unshelve: "取消搁置", "out-of-service": "停用", "return-to-service": "恢复使用",
    cancel: "取消", note: "备注", optional: "可选", needed: "此报警必填", why: "原因", more: "补充说明", howLong: "时长",
    permit: "作业票", permitHint: "作业票编号或名称", end: "结束时间", endHint: "到期不会自动恢复：网关将报警，要求恢复使用或延长作业票。",
    scope: "范围", one: "此报警", these: (n: string) => `这 ${n} 条报警`, instrument: (id: string) => `仪表 ${id} 的全部报警`, area: (name: string) => `${name} 的全部报警`,
    about: (n: string) => `${n} 条报警`, seenSays: "表示您已看到此报警。条件消失前它仍在列表中。", resetSays: "若条件仍存在，下一个读数将再次报警。",
    shelveSays: "在此之前不发声、不列出；级别升高时立即恢复。", ends: (at: string) => `至 ${at}`, red: "一级报警仅工程师可搁置。",
    done: (n: string, verb: string) => `${verb}：已执行 ${n} 条`, doneOne: (verb: string, what: string) => `${verb}：${what}`, some: (n: string) => `${n} 条被拒绝：`, maxed: (s: string) => `您的角色最长 ${s}。`,
    tells: "请填写原因。", lost: "与网关断开，无法执行。",
  },
});
const MINUTE = 60;
const SPANS = [15 * MINUTE, 60 * MINUTE, 240 * MINUTE, 480 * MINUTE, 720 * MINUTE];
const PERMITS = [60 * MINUTE, 240 * MINUTE, 480 * MINUTE, 1440 * MINUTE, 3 * 1440 * MINUTE, 7 * 1440 * MINUTE];
const REASONS: Partial<Record<Verb, { en: string[]; zh: string[] }>> = {
  acknowledge: { en: ["On my way", "Person sent", "Known work"], zh: ["正在前往", "已派人", "已知作业"] },
  shelve: { en: ["Chattering", "Known cause, being mended", "Waiting for a spare part", "Process start-up"], zh: ["频繁报警", "原因已知，正在处理", "等待备件", "工艺开车"] },
  "out-of-service": { en: ["Repair", "Calibration", "Replacement", "Hot work"], zh: ["维修", "标定", "更换", "动火作业"] },
};

/** Stands over all pages; shows what is asked, nothing where nothing is. */
export default function OrderDialog() {
  const asked = asking.value;
  return asked && <Asked key={`${asked.verb} ${asked.seen} ${asked.alarms[0]!.id}`} {...asked} />;
}

interface Draft { why: string; seconds: number; permit: string; scope: "alarms" | "instrument" | "area" }

function Asked({ verb, alarms, seen, done }: Asking) {
  const t = words();
  const { busy, refused, give } = useOrder();
  const [some, setSome] = useState<{ alarm: string; reason: string }[]>([]);
  const [draft, set] = useState<Draft>({ why: "", seconds: verb === "shelve" ? SPANS[1]! : PERMITS[2]!, permit: "", scope: "alarms" });
  const put = (part: Partial<Draft>): void => set({ ...draft, ...part });
  const noteNeeded = verb === "acknowledge" && alarms.some((a) => a.note_required);
  const reasonNeeded = noteNeeded || verb === "shelve" || verb === "out-of-service";
  const longest = verb === "shelve" ? (may("engineer") ? site.value?.shelving.engineer_s : site.value?.shelving.operator_s) ?? SPANS.at(-1)! : Infinity;
  const red = verb === "shelve" && !may("engineer") && !site.value?.shelving.red_by_operator && alarms.some((a) => a.priority === 1);
  const close = (): void => { asking.value = null; };
  const send = async (): Promise<void> => {
    if (reasonNeeded && !draft.why.trim()) return;
    const ok = await give(async () => {
      const said = await carryOut(verb, alarms, seen, draft);
      setSome(said.refused);
      if (said.done) toast(alarms.length === 1 ? t.doneOne(t[verb], about(alarms[0]!).what) : t.done(String(said.done), t[verb]));
      if (said.refused.length) throw new Refusal(-1, t.some(String(said.refused.length)));
    });
    if (ok) { close(); done(); }
  };
  return (
    <Dialog title={t[verb]} onClose={close} onSubmit={() => void send()} mark={alarms.length === 1 && <Mark priority={alarms[0]!.priority} level={alarms[0]!.level} size={24} />}
      foot={<><button type="button" class="quiet" onClick={close}>{t.cancel}</button><button type="submit" class="main" disabled={busy || !canOrder()}>{t[verb]}{alarms.length > 1 && ` ${alarms.length}`}</button></>}>
      <Summary alarms={alarms} />
      {verb === "acknowledge" && <p class="dim small">{t.seenSays}</p>}
      {verb === "reset" && <p class="dim small">{t.resetSays}</p>}
      {verb === "out-of-service" && <Scope alarms={alarms} scope={draft.scope} put={(scope) => put({ scope })} />}
      {verb === "shelve" && <Spans label={t.howLong} all={SPANS.filter((s) => s <= longest)} chosen={draft.seconds} put={(seconds) => put({ seconds })} says={`${t.shelveSays}${longest < Infinity ? ` ${t.maxed(spoken(longest * 1000))}` : ""}`} />}
      {verb === "out-of-service" && <Spans label={t.end} all={PERMITS} chosen={draft.seconds} put={(seconds) => put({ seconds })} says={t.endHint} />}
      {verb === "out-of-service" && <label class="field"><span>{t.permit}</span><input value={draft.permit} maxLength={200} placeholder={t.permitHint} onInput={(e) => put({ permit: e.currentTarget.value })} /></label>}
      <Why verb={verb} why={draft.why} needed={reasonNeeded} hint={noteNeeded ? t.needed : reasonNeeded ? "" : t.optional} put={(why) => put({ why })} />
      {red && <p class="note">{t.red}</p>}
      {!canOrder() && <Refused text={t.lost} />}
      <Refused text={refused} />
      {some.length > 0 && <ul class="order-refusals">{some.slice(0, 20).map((one) => <li key={one.alarm}><b>{one.alarm}</b> {one.reason}</li>)}</ul>}
    </Dialog>
  );
}

async function carryOut(verb: Verb, alarms: Alarm[], seen: number, draft: Draft): Promise<{ done: number; refused: { alarm: string; reason: string }[] }> {
  const why = draft.why.trim();
  if (verb === "out-of-service") {
    const [first] = alarms;
    const what = draft.scope === "instrument" ? { instrument: first!.instrument } : draft.scope === "area" ? { area: first!.area } : { alarms: alarms.map(({ id }) => id) };
    const said = await post<{ done?: number; refused?: { alarm: string; reason: string }[]; events?: unknown[] }>("out-of-service", { ...what, why, permit: draft.permit.trim(), duration_s: draft.seconds });
    return { done: said.done ?? said.events?.length ?? 1, refused: said.refused ?? [] };
  }
  const more: Order = { ...(why ? { why } : {}), ...(verb === "shelve" ? { duration_s: draft.seconds } : {}) };
  return order(verb, alarms, seen, more);
}

/** What the order is about: one alarm with its value now, or how many of which level. */
function Summary({ alarms }: { alarms: Alarm[] }) {
  const t = words();
  if (alarms.length === 1) {
    const [alarm] = alarms;
    const said = about(alarm!);
    const { text } = shownValue(alarm!);
    return (
      <div class="order-about">
        <strong>{said.what}</strong> <span>{said.where}</span>{text && <span class="order-value">{text} <small>{alarm!.unit}</small></span>}
        <small class="dim">{said.sub}{alarm!.raised_at && ` · ${clock(alarm!.raised_at)}`}</small>
      </div>
    );
  }
  const areas = [...new Set(alarms.map((a) => a.area))];
  return (
    <div class="order-about">
      <strong>{t.about(String(alarms.length))}</strong>
      <span class="row">{[1, 2, 3, 4].map((p) => ({ p, n: alarms.filter((a) => a.priority === p).length })).filter(({ n }) => n > 0)
        .map(({ p, n }) => <span key={p} class="row"><Mark priority={p} size={18} />{n}</span>)}</span>
      <small class="dim">{areas.slice(0, 6).map(areaName).filter(Boolean).join(" · ")}{areas.length > 6 && " …"}</small>
    </div>
  );
}

function Spans({ label, all, chosen, put, says }: { label: string; all: number[]; chosen: number; put: (seconds: number) => void; says: string }) {
  const t = words();
  return (
    <fieldset class="field">
      <legend>{label}</legend>
      <div class="choices">{all.map((s) => <button key={s} type="button" aria-pressed={s === chosen} onClick={() => put(s)}>{spoken(s * 1000)}</button>)}</div>
      <small><b>{t.ends(moment(now.value + chosen * 1000).slice(0, 16))}</b> · {says}</small>
    </fieldset>
  );
}

function Scope({ alarms, scope, put }: { alarms: Alarm[]; scope: Draft["scope"]; put: (scope: Draft["scope"]) => void }) {
  const t = words();
  const [first] = alarms;
  const one = (name: Draft["scope"], text: string) => <label key={name} class="check"><input type="radio" name="scope" checked={scope === name} onChange={() => put(name)} />{text}</label>;
  const sole = (key: "instrument" | "area"): boolean => !!first![key] && alarms.every((a) => a[key] === first![key]);
  return (
    <fieldset class="field">
      <legend>{t.scope}</legend>
      {one("alarms", alarms.length === 1 ? t.one : t.these(String(alarms.length)))}
      {sole("instrument") && one("instrument", t.instrument(first!.instrument))}
      {sole("area") && one("area", t.area(areaName(first!.area)))}
    </fieldset>
  );
}

function Why({ verb, why, needed, hint, put }: { verb: Verb; why: string; needed: boolean; hint: string; put: (why: string) => void }) {
  const t = words();
  const ready = REASONS[verb]?.[lang.value] ?? [];
  return (
    <div class="field">
      <label for="order-why">{needed ? t.why : t.note}{hint && ` · ${hint}`}</label>
      {ready.length > 0 && <div class="choices order-ready">{ready.map((text) => <button key={text} type="button" class="chip-filter" aria-pressed={why === text} onClick={() => put(text)}>{text}</button>)}</div>}
      <input id="order-why" data-first value={why} required={needed} maxLength={500} autocomplete="off" placeholder={needed ? t.tells : ""} onInput={(e) => put(e.currentTarget.value)} />
      {needed && !why.trim() && <small><Icon name="info" size={12} /> {t.tells}</small>}
    </div>
  );
}

