// One event in full, and the list of alarms as it stood at some time.
import { useState } from "preact/hooks";
import { get } from "../../api";
import { href } from "../../app/route";
import { epoch, now } from "../../live/state";
import type { Alarm, AlarmEvent } from "../../live/types";
import { Dialog } from "../../parts/dialog";
import { Mark } from "../../parts/mark";
import { Refused, useOrder } from "../../parts/order";
import { clock, moment } from "../../parts/time";
import { kindWord } from "../../parts/kinds";
import { about, areaName, levelWord, limitText, qualityWord, rowOf, side, stateWord, valueText } from "../../parts/words";
import { texts } from "../../text";
import { asTyped, typed, utc } from "./when";
import { WhenField } from "./when_field";

const words = texts({
  en: {
    number: "Number", time: "Time", alarm: "Alarm", state: "State after it", level: "Level", value: "Value", quality: "Quality", area: "Area", channel: "Channel", instrument: "Instrument", who: "By", why: "Why", zh: "In Chinese", en: "In English",
    occurrence: "Occurrence", permit: "Permit", case: "Response", open: "Open the alarm", trend: "Trend around it", asOf: "The alarms as they stood", at: "At", h1: "1 hour ago", h8: "8 hours ago", h24: "24 hours ago", show: "Show", none: "No alarm stood then.", count: (n: number) => `${n} alarms stood`, since: "since",
  },
  zh: {
    number: "序号", time: "时间", alarm: "报警", state: "此后状态", level: "级别", value: "数值", quality: "质量", area: "区域", channel: "测点", instrument: "仪表", who: "操作人", why: "说明", zh: "中文", en: "英文",
    occurrence: "次数", permit: "作业票", case: "处置", open: "打开此报警", trend: "查看前后趋势", asOf: "某一时刻的报警", at: "时刻", h1: "1 小时前", h8: "8 小时前", h24: "24 小时前", show: "查看", none: "当时无报警。", count: (n: number) => `当时有 ${n} 条报警`, since: "自",
  },
});

export function Details({ event, onClose }: { event: AlarmEvent; onClose: () => void }) {
  const t = words();
  const limit = limitText(event);
  return (
    <Dialog title={kindWord(event.kind)} onClose={onClose} wide mark={event.priority > 0 && <Mark priority={event.priority} level={event.level} size={24} />}
      foot={<>
        {event.channel && <a class="button" href={href("point", event.channel, { around: event.time })} onClick={onClose}>{t.trend}</a>}
        {event.case && <a class="button" href={href("case", event.case.id)} onClick={onClose}>{t.case}</a>}
        {event.alarm && <a class="button main" href={href("alarm", event.alarm)} onClick={onClose}>{t.open}</a>}
      </>}>
      <dl class="facts journal-facts">
        <dt>{t.number}</dt><dd>{event.seq} <span class="dim mono small">{epoch.value}</span></dd>
        <dt>{t.time}</dt><dd>{moment(event.time)} <span class="dim">{utc(event.time)}</span></dd>
        {event.why && <><dt>{t.why}</dt><dd>{event.why}{event.why_zh && <><br />{event.why_zh}</>}</dd></>}
        {event.who && <><dt>{t.who}</dt><dd>{event.who}</dd></>}
        {event.alarm && <><dt>{t.alarm}</dt><dd class="mono">{event.alarm}</dd><dt>{t.state}</dt><dd>{stateWord(event.state)}{event.level !== "normal" && ` · ${levelWord(event.level)}`}</dd><dt>{t.occurrence}</dt><dd>{event.occurrence}</dd></>}
        {event.value !== null && <><dt>{t.value}</dt><dd>{valueText(rowOf(event.channel), event.value)} {event.unit}{limit && ` ${side(event)} ${limit}`}</dd></>}
        {event.quality && event.quality !== "good" && <><dt>{t.quality}</dt><dd>{qualityWord(event.quality)}</dd></>}
        {event.area && <><dt>{t.area}</dt><dd>{areaName(event.area)}</dd></>}
        {event.channel && <><dt>{t.channel}</dt><dd><a href={href("point", event.channel)} onClick={onClose}>{event.channel}</a></dd></>}
        {!event.channel && event.instrument && <><dt>{t.instrument}</dt><dd><a href={href("instrument", event.instrument)} onClick={onClose}>{event.instrument}</a></dd></>}
        {event.permit && <><dt>{t.permit}</dt><dd>{event.permit}</dd></>}
      </dl>
    </Dialog>
  );
}

const AGO = [["h1", 1], ["h8", 8], ["h24", 24]] as const;

export function AsOf({ onClose }: { onClose: () => void }) {
  const t = words();
  const [at, setAt] = useState(asTyped((now.peek() || Date.now()) - 3_600_000));
  const [found, setFound] = useState<{ at: number; alarms: Alarm[] } | null>(null);
  const { busy, refused, give } = useOrder();
  const show = (): void => void give(async () => {
    const ms = typed(at);
    const { alarms } = await get<{ alarms: Alarm[] }>(`alarms?at=${encodeURIComponent(new Date(ms).toISOString())}`);
    setFound({ at: ms, alarms });
  });
  return (
    <Dialog title={t.asOf} onClose={onClose} onSubmit={show} wide foot={<button type="submit" class="main" disabled={busy || !Number.isFinite(typed(at))}>{t.show}</button>}>
      <div class="row wrap"><WhenField label={t.at} value={at} put={setAt} first />
        {AGO.map(([label, h]) => <button key={h} type="button" class="chip-filter" onClick={() => setAt(asTyped((now.peek() || Date.now()) - h * 3_600_000))}>{t[label]}</button>)}
      </div>
      <Refused text={refused} />
      {found && <p role="status"><b>{moment(found.at)}</b> · {found.alarms.length ? t.count(found.alarms.length) : t.none}</p>}
      {found && <ul class="journal-asof">{found.alarms.map((alarm) => {
        const { what, sub, where } = about(alarm);
        return <li key={alarm.id}><Mark priority={alarm.priority} level={alarm.level} size={18} hollow={alarm.condition === "normal"} /><span class="clip"><b>{what}</b> · {where}</span><span class="dim">{alarm.raised_at && `${t.since} ${clock(alarm.raised_at)}`}</span><small>{sub} · {stateWord(alarm.state)}</small></li>;
      })}</ul>}
    </Dialog>
  );
}
