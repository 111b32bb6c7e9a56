// Responses: the list of what is open or closed, and one of them with its six steps. A phone in the field shows one.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, part, Refusal } from "../../api";
import { href } from "../../app/route";
import { link } from "../../live/state";
import type { Case } from "../../live/types";
import { FilterChip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { reason, Refused } from "../../parts/order";
import { Age, span, Time } from "../../parts/time";
import { alarmOf, areaName, channelName, GONE, limitText, phoneOf, shownValue, side } from "../../parts/words";
import { either } from "../../text";
import { openCases, trouble, useCase, useOpenCases, whole } from "./data";
import { CaseSteps, Countdown, Phone, whoIsOnIt } from "./steps";
import { t } from "./words";
import "./case.css";

const wide = signal(matchMedia("(min-width: 1001px)").matches);
matchMedia("(min-width: 1001px)").addEventListener("change", (e) => { wide.value = e.matches; });

/** `#/case` lists; `#/case/<id>` shows one, on a wide screen beside the list. */
export default function CasePage({ rest }: { rest: string }) {
  useOpenCases();
  // Beside the list there is room for one: the most urgent where none was chosen.
  const shown = rest || (wide.value ? openCases.value[0]?.id ?? "" : "");
  return (
    <section class={rest ? "case-page case-one" : "case-page"}>
      <List chosen={shown} />
      {shown ? <One key={shown} id={shown} /> : <div class="case-none" />}
    </section>
  );
}

function List({ chosen }: { chosen: string }) {
  const words = t();
  const [which, show] = useState<"open" | "closed">("open");
  const old = useClosed(which === "closed");
  const cases = which === "open" ? openCases.value : old.cases;
  const late = openCases.value.filter((one) => one.overdue.length).length;
  return (
    <div class="case-list">
      <div class="page-head">
        <h1>{words.cases}</h1>
        <div class="row">
          <FilterChip on={which === "open"} onPress={() => show("open")} {...(whole.value ? { count: openCases.value.length } : {})}>{words.open}</FilterChip>
          <FilterChip on={which === "closed"} onPress={() => show("closed")}>{words.closed}</FilterChip>
        </div>
        {late > 0 && <span class="case-late">{words.overdue} {late}</span>}
      </div>
      {whole.value === null && <p class="note">{words.absent}</p>}
      {trouble.value && trouble.value.status !== 404 && <Refused text={reason(trouble.value)} />}
      {old.refusal && <Refused text={reason(old.refusal)} />}
      {cases.length > 0 && <ul class="case-rows pane">{cases.map((one) => <Row key={one.id} one={one} chosen={one.id === chosen} />)}</ul>}
      {which === "open" && whole.value && !cases.length && <div class="empty pane"><strong>{words.noOpen}</strong><p>{words.noOpenWhy}</p></div>}
      {which === "closed" && old.done && !cases.length && <div class="empty pane"><strong>{words.noClosed}</strong></div>}
      {which === "closed" && old.next !== null && cases.length > 0 && <button type="button" onClick={old.more}>{words.more}</button>}
    </div>
  );
}

function Row({ one, chosen }: { one: Case; chosen: boolean }) {
  const words = t();
  const closed = one.state === "closed";
  return (
    <li>
      <a class="case-row" href={href("case", one.id)} aria-current={chosen ? "true" : undefined}>
        <Mark priority={one.priority} hollow={closed || one.over} size={22} />
        <span class="case-row-what"><b class="clip">{titleOf(one)}</b><span class="clip dim">{[areaName(one.area), one.channel ? channelName(one.channel) : one.instrument].filter(Boolean).join(" · ")}</span></span>
        <span class="case-row-when">{closed ? <Time at={one.closed_at} /> : <b><Age since={one.opened_at} /></b>}<span class="dim small">{closed && one.closed_at ? words.closedIn(span(Date.parse(one.closed_at) - Date.parse(one.opened_at))) : <Time at={one.opened_at} />}</span></span>
        <span class="case-row-who clip">{whoIsOnIt(one)}</span>
        <span class="case-row-left">{closed ? (one.overdue.length > 0 && <em class="case-late">{words.late}</em>) : <Countdown one={one} />}</span>
      </a>
    </li>
  );
}

function titleOf(one: Case): string {
  const title = either(one.title, one.title_zh) || one.alarm || one.id;
  // The words of an alarm begin with its instrument, which stands below.
  const [, first = "", words = ""] = /^([^:：]+)[:：]\s*(.+)$/.exec(title) ?? [];
  return words && (first === one.instrument || first === one.channel) ? words : title;
}

function One({ id }: { id: string }) {
  const words = t();
  const { found: one, refusal } = useCase(id);
  if (!one) {
    return (
      <article class="case-detail">
        <Back />
        {refusal && (refusal.status === 404 ? <div class="empty pane"><strong>{words.gone}</strong></div> : <Refused text={reason(refusal)} />)}
      </article>
    );
  }
  const alarm = alarmOf(one.alarm);
  const phone = phoneOf(one.area);
  return (
    <article class="case-detail">
      <Back />
      <div class="pane case-card">
        <div class="case-title">
          <Mark priority={one.priority} hollow={one.over || one.state === "closed"} size={32} />
          <div class="grow"><h1>{titleOf(one)}</h1><p class="dim">{[areaName(one.area), one.channel ? channelName(one.channel) : one.instrument].filter(Boolean).join(" · ")}</p></div>
          <div class="case-since">{one.state === "closed" ? <span class="case-closed">{words.closedState}</span> : <strong><Age since={one.opened_at} /></strong>}<span class="dim small"><Time at={one.opened_at} long /></span></div>
        </div>
        <div class="case-facts">
          {alarm
            ? <p><span class="dim">{words.stands}</span> <b class="case-value">{link.value === "lost" ? GONE : shownValue(alarm).text || alarm.level}</b> {alarm.unit}{alarm.limit !== null && <span class="dim"> {side(alarm)} {limitText(alarm)}</span>}</p>
            : one.alarm && one.over && <p class="dim">{words.ended}</p>}
          <p class="row wrap">
            {one.channel && <a class="button" href={href("point", one.channel, { at: one.opened_at })}><Icon name="chart" />{words.toAlarm}</a>}
            {one.instrument && <a class="button" href={href("instrument", one.instrument)}><Icon name="tools" />{words.toInstrument}</a>}
            {phone && <span class="case-area-phone"><Icon name="phone" size={16} /><span class="dim">{words.area}</span> <Phone number={phone} /></span>}
          </p>
        </div>
        {one.photo && <figure class="case-photo"><img src={`api/v1/cases/${part(one.id)}/photo`} alt={words.photo} loading="lazy" /></figure>}
        <CaseSteps id={id} />
      </div>
    </article>
  );
}

const Back = () => <a class="case-back button quiet" href={href("case")}><Icon name="left" />{t().back}</a>;

/** Closed cases, newest first, by parts. */
function useClosed(wanted: boolean) {
  const [cases, set] = useState<Case[]>([]);
  const [next, setNext] = useState<string | null>("");
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [done, setDone] = useState(false);
  const load = (after: string, before: Case[]): void => {
    get<{ cases: Case[]; next: string | null }>(`cases?state=closed&limit=100${after ? `&after=${encodeURIComponent(after)}` : ""}`).then(
      (found) => { set([...before, ...found.cases]); setNext(found.next || null); setRefusal(null); setDone(true); },
      (error: unknown) => setRefusal(error instanceof Refusal ? error : new Refusal(0, String(error))),
    );
  };
  const count = openCases.value.length;
  useEffect(() => { if (wanted) load("", []); }, [wanted, count]);
  return { cases, next, refusal, done, more: () => { if (next) load(next, cases); } };
}
