// The parts of a handover, one section each, so that nothing that was put aside is handed over unseen.
import type { ComponentChildren } from "preact";
import { href } from "../../app/route";
import { now } from "../../live/state";
import type { Alarm } from "../../live/types";
import { Mark } from "../../parts/mark";
import { Age, clock, day, spoken, Time } from "../../parts/time";
import { about, areaName, stateWord } from "../../parts/words";
import { either } from "../../text";
import { Countdown, whoIsOnIt } from "../case/steps";
import type { Duty, Handover } from "./types";
import { t } from "./words";

/** All that a shift hands over. `live` is false for one that was signed: it shows no countdown that goes on. */
export function Sections({ one, live, children }: { one: Handover; live: boolean; /** Stands under the notes. */ children?: ComponentChildren }) {
  const words = t();
  const due = one.calibrations.filter((each) => each.state === "due" || each.state === "overdue");
  return (
    <>
      <Tiles one={one} due={due.length} />
      <Section id="open" title={words.open} count={one.open.length}>
        {one.open.map((alarm) => (
          <Line key={alarm.id} alarm={alarm} right={<><b>{live ? <Age since={alarm.raised_at} /> : <Time at={alarm.raised_at} />}</b><small>{words.since} <Time at={alarm.raised_at} /></small></>}>
            {alarm.acked_by ? words.acked(alarm.acked_by) : <b>{stateWord(alarm.state)}</b>}
          </Line>
        ))}
      </Section>
      {one.left_out ? <p class="note">{words.leftOut(String(one.left_out))}</p> : null}
      <Section id="shelved" title={words.shelved} count={one.shelved.length}>
        {one.shelved.map((alarm) => (
          <Line key={alarm.id} alarm={alarm} right={alarm.until && <><b>{words.ends} {clock(alarm.until)}</b>{live && <small>{words.left} {spoken(Date.parse(alarm.until) - now.value)}</small>}</>}>
            {[either(alarm.why, alarm.why_zh), alarm.who && words.by(alarm.who)].filter(Boolean).join(" · ")}
          </Line>
        ))}
      </Section>
      <Section id="out" title={words.out} count={one.out_of_service.length}>
        {one.out_of_service.map((alarm) => <Line key={alarm.id} alarm={alarm} right={<Permit alarm={alarm} />}>{reasons(alarm).join(" · ")}</Line>)}
      </Section>
      <Section id="suppressed" title={words.suppressed} count={one.suppressed.length}>
        {one.suppressed.map((alarm) => <Line key={alarm.id} alarm={alarm}>{[either(alarm.why, alarm.why_zh), alarm.suppressed_by].filter(Boolean).join(" · ")}</Line>)}
      </Section>
      <Section id="cases" title={words.cases} count={one.cases.length}>
        {one.cases.map((each) => (
          <li key={each.id} class="handover-line">
            <Mark priority={each.priority} hollow={each.over} size={20} />
            <a class="handover-what" href={href("case", each.id)}><b>{either(each.title, each.title_zh)}</b><span class="dim">{[areaName(each.area), whoIsOnIt(each)].filter(Boolean).join(" · ")}</span></a>
            <span class="handover-right">{live ? <Countdown one={each} /> : <Time at={each.opened_at} />}</span>
          </li>
        ))}
      </Section>
      <Section id="calibrations" title={words.calibrations} count={due.length}>
        {due.map((each) => <Due key={each.instrument + each.kind} one={each} />)}
      </Section>
      <Figures one={one} />
      <Section id="notes" title={words.notes} count={one.notes.length} none={words.notesNone} after={children}>
        {one.notes.map((note, k) => <li key={k} class="handover-note"><p>{note.text}</p><span class="dim small">{note.by} · <Time at={note.at} /></span></li>)}
      </Section>
    </>
  );
}

function Tiles({ one, due }: { one: Handover; due: number }) {
  const words = t();
  const tiles: [string, string, number][] = [
    ["open", words.open, one.open.length], ["shelved", words.shelved, one.shelved.length], ["out", words.out, one.out_of_service.length],
    ["suppressed", words.suppressed, one.suppressed.length], ["cases", words.cases, one.cases.length], ["calibrations", words.calibrations, due],
  ];
  return (
    <ul class="handover-tiles">
      {tiles.map(([id, name, count]) => (
        <li key={id}><button type="button" class={count ? "handover-tile" : "handover-tile handover-zero"} onClick={() => document.getElementById(`handover-${id}`)?.scrollIntoView({ block: "start" })}>
          <strong>{count}</strong><span>{name}</span>
        </button></li>
      ))}
    </ul>
  );
}

function Section({ id, title, count, none, after, children }: { id: string; title: string; count: number; none?: string; after?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="pane handover-section" id={`handover-${id}`} aria-label={title}>
      <header><h2>{title}</h2><span class={count ? "handover-count" : "dim"}>{count || t().none}</span></header>
      {count > 0 ? <ul>{children}</ul> : none && <p class="handover-none dim">{none}</p>}
      {after}
    </section>
  );
}

function Line({ alarm, right, children }: { alarm: Alarm; right?: ComponentChildren; children: ComponentChildren }) {
  const told = about(alarm);
  return (
    <li class="handover-line">
      <Mark priority={alarm.priority} level={alarm.level} hollow={alarm.condition === "normal"} size={20} />
      <a class="handover-what" href={alarm.channel ? href("point", alarm.channel) : href("now", "", { alarm: alarm.id })}><b>{told.what}</b><span class="dim">{[told.where, told.sub].filter(Boolean).join(" · ")}</span><span>{children}</span></a>
      <span class="handover-right">{right}</span>
    </li>
  );
}

/** The permit, why, and by whom; a permit that says why is not said twice. */
export function reasons(alarm: Alarm): string[] {
  const why = either(alarm.why, alarm.why_zh);
  return [alarm.permit ? `${t().permit} ${alarm.permit}` : "", why === alarm.permit || alarm.why === alarm.permit ? "" : why, alarm.who && t().by(alarm.who)].filter(Boolean);
}

function Permit({ alarm }: { alarm: Alarm }) {
  const words = t();
  if (!alarm.until) return null;
  const over = Date.parse(alarm.until) < now.value;
  return over ? <em class="handover-over">{words.permitOver} {clock(alarm.until)}</em> : <b>{words.until} {clock(alarm.until)}</b>;
}

function Due({ one }: { one: Duty }) {
  const words = t();
  const overdue = one.state === "overdue" || one.due === null;
  return (
    <li class="handover-line">
      <Mark priority={overdue ? 3 : 0} level="fault" size={20} />
      <a class="handover-what" href={href("instrument", one.instrument)}><b>{one.instrument} · {one.kind === "bump" ? words.bump : words.calibration}</b><span class="dim">{areaName(one.area)}</span></a>
      <span class="handover-right">{one.due === null ? <b>{words.never}</b> : overdue ? <b>{words.overdue} {spoken(now.value - Date.parse(one.due))}</b> : <>{words.due} {day(one.due)}</>}</span>
    </li>
  );
}

function Figures({ one }: { one: Handover }) {
  const words = t();
  const found = one.statistics;
  if (!found) return null;
  const seconds = (s: number | null): string => (s === null ? "–" : spoken(s * 1000));
  const figures: [string, string][] = [
    [words.raised, String(found.raised)], [words.perHour, found.per_hour.toFixed(1)], [words.peak, String(found.peak_10_min)],
    [words.flood, `${found.in_flood_percent.toFixed(1)} %`], [words.median, seconds(found.acknowledge.median_s)], [words.unacked, String(found.acknowledge.unacknowledged)],
  ];
  return (
    <section class="pane handover-section" id="handover-figures" aria-label={words.figures}>
      <header><h2>{words.figures}</h2><a class="handover-all" href={href("statistics", "", { span: "shift" })}>{words.all}</a></header>
      <dl class="handover-figures">{figures.map(([name, figure]) => <div key={name}><dt>{name}</dt><dd>{figure}</dd></div>)}</dl>
    </section>
  );
}
