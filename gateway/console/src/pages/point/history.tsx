// What happened to some alarms, newest first; it goes on by itself.
import { useEffect, useState } from "preact/hooks";
import { get } from "../../api";
import { link, onEvent } from "../../live/state";
import type { AlarmEvent } from "../../live/types";
import { href } from "../../app/route";
import { Mark } from "../../parts/mark";
import { clock, moment } from "../../parts/time";
import { kindWord } from "../../parts/kinds";
import { limitText, rowOf, side, valueText } from "../../parts/words";
import { either, texts } from "../../text";

const words = texts({
  en: { history: "History", none: "No events yet.", journal: "In the journal" },
  zh: { history: "历史事件", none: "暂无事件。", journal: "在日志中查看" },
});
const EACH = 40;

export function History({ alarms }: { alarms: string[] }) {
  const t = words();
  const [events, setEvents] = useState<AlarmEvent[] | null>(null);
  const key = alarms.join("\n");
  useEffect(() => {
    let gone = false;
    if (!key) { setEvents([]); return; }
    void Promise.all(key.split("\n").slice(0, 10).map((id) => get<{ events: AlarmEvent[] }>(`events?newest_first=true&limit=${EACH}&alarm=${encodeURIComponent(id)}`).catch(() => ({ events: [] }))))
      .then((all) => { if (!gone) setEvents(all.flatMap((one) => one.events).sort((a, b) => b.seq - a.seq)); });
    const stop = onEvent((event) => { if (key.split("\n").includes(event.alarm)) setEvents((now) => [event, ...(now ?? []).filter((one) => one.seq !== event.seq)].slice(0, 400)); });
    return () => { gone = true; stop(); };
  }, [key, link.value === "lost"]);
  return (
    <section class="pane">
      <header><h2>{t.history}</h2>{alarms.length === 1 && <a class="small" href={href("journal", "", { alarm: alarms[0]! })}>{t.journal}</a>}</header>
      {events && !events.length && <p class="pane-body dim">{t.none}</p>}
      <ol class="point-events" tabIndex={0} aria-label={t.history}>
        {events?.map((event) => <Line key={event.seq} event={event} />)}
      </ol>
    </section>
  );
}

function Line({ event }: { event: AlarmEvent }) {
  const raised = event.kind === "raised" || event.kind === "escalated" || event.kind === "de_escalated";
  const limit = limitText(event);
  return (
    <li class="point-event">
      {raised ? <Mark priority={event.priority} level={event.level} size={16} /> : <span />}
      <time dateTime={event.time} title={moment(event.time)}>{clock(event.time)}</time>
      <span>{kindWord(event.kind)}{event.who && <> · <b>{event.who}</b></>}</span>
      <span>{raised && event.value !== null && <>{valueText(rowOf(event.channel), event.value)} {event.unit}{limit && <span class="dim"> {side(event)} {limit}</span>}</>}</span>
      {either(event.why, event.why_zh) && <small>{either(event.why, event.why_zh)}</small>}
    </li>
  );
}
