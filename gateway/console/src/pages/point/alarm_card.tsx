// One alarm in full: what, since when, who is on it, what to do, and the orders about it.
import { lazily } from "../../parts/lazily";
import { ask } from "../../app/asking";
import { href } from "../../app/route";
import { useEffect } from "preact/hooks";
import { isAside, isUnacked, onEvent, site } from "../../live/state";
import type { Alarm, Case } from "../../live/types";
import { useAsk } from "../../parts/ask";
import { Chip } from "../../parts/chip";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { canOrder, may } from "../../parts/order";
import { Age, clock, Left, moment } from "../../parts/time";
import { about, channelName, limitText, phoneOf, responseOf, side, stateWord, valueText, rowOf } from "../../parts/words";
import { texts } from "../../text";

const words = texts({
  en: {
    ack: "Acknowledge", reset: "Reset", shelve: "Shelve", unshelve: "Unshelve", out: "Out of service", back: "Return to service", todo: "What to do", raised: "raised", by: (who: string, at: string) => `acknowledged by ${who}, ${at}`,
    times: (n: number) => `occurrence ${n}`, first: "First-out", follows: (what: string) => `follows ${what}`, held: "held until reset", delayed: "with on-delay", until: "until", open: "Open this alarm", silenced: "silenced", test: "under test",
  },
  zh: {
    ack: "确认", reset: "复位", shelve: "搁置", unshelve: "取消搁置", out: "停用", back: "恢复使用", todo: "处置要求", raised: "发生", by: (who: string, at: string) => `${who} 于 ${at} 确认`,
    times: (n: number) => `第 ${n} 次`, first: "首发", follows: (what: string) => `随 ${what} 之后`, held: "保持，需复位", delayed: "带延时", until: "至", open: "打开此报警", silenced: "已消音", test: "测试中",
  },
});
const Steps = lazily(() => import("../case/steps").then((found) => found.CaseSteps));

/** `whole`: with the response and what to do; else only the head. */
export function AlarmCard({ alarm, whole }: { alarm: Alarm; whole: boolean }) {
  const t = words();
  const said = about(alarm);
  const aside = isAside(alarm);
  const todo = responseOf(alarm);
  const number = phoneOf(alarm.area);
  const opened = useOpenCase(whole && !aside ? alarm : null);
  return (
    <section class={`pane point-alarm p${aside ? 0 : alarm.priority}`} aria-label={said.what}>
      <div class="point-alarm-top">
        <h2><Mark priority={alarm.priority} level={alarm.level} size={24} hollow={aside || alarm.condition === "normal"} flash={isUnacked(alarm)} />{said.what}</h2>
        <Judged alarm={alarm} />
        <Chip tone={isUnacked(alarm) ? "strong" : ""}>{stateWord(alarm.state)}</Chip>
        {alarm.first && <Chip tone="warn">{t.first}</Chip>}
        {alarm.follows && <Chip>{t.follows(channelName(alarm.follows.split(":").slice(1).join(":")) || alarm.follows)}</Chip>}
        {alarm.silenced && <Chip>{t.silenced}</Chip>}
        {alarm.test && <Chip>{t.test}</Chip>}
        <Orders alarm={alarm} />
      </div>
      <p class="dim">
        {alarm.raised_at && <>{t.raised} <time dateTime={alarm.raised_at} title={moment(alarm.raised_at)}>{clock(alarm.raised_at)}</time> · <Age since={alarm.raised_at} /></>}
        {alarm.occurrence > 1 && <> · {t.times(alarm.occurrence)}</>}
        {alarm.acked_by && alarm.acked_at && <> · {t.by(alarm.acked_by, clock(alarm.acked_at))}</>}
        {alarm.until && <> · {t.until} {clock(alarm.until)} (<Left until={alarm.until} />)</>}
        {alarm.latching && alarm.condition === "normal" && <> · {t.held}</>}
        {alarm.delayed && <> · {t.delayed}</>}
        {alarm.permit && <> · {alarm.permit}</>}
      </p>
      {whole && <p>{said.why}</p>}
      {whole && (todo || number) && (
        <p class="point-respond row wrap"><Icon name="info" size={16} />{todo}{number && <a href={`tel:${number.replace(/[^\d+]/g, "")}`} class="row"><Icon name="phone" size={16} />{number}</a>}</p>
      )}
      {opened && <Steps id={opened} compact />}
      {!whole && <a href={href("alarm", alarm.id)} class="small">{t.open}</a>}
    </section>
  );
}

/** The response that runs for an alarm, if any; one may run on over several occurrences. */
function useOpenCase(alarm: Alarm | null): string {
  const wanted = alarm && site.value?.response.enabled ? `cases?state=open&limit=1&alarm=${encodeURIComponent(alarm.id)}` : null;
  const { data, again } = useAsk<{ cases: Case[] }>(wanted);
  useEffect(() => onEvent((event) => { if (event.kind === "case" && event.case?.alarm === alarm?.id) again(); }), [alarm?.id, again]);
  return data?.cases[0]?.id ?? "";
}

function Judged({ alarm }: { alarm: Alarm }) {
  if (alarm.value === null) return null;
  const limit = limitText(alarm);
  return <b>{valueText(rowOf(alarm.channel), alarm.value)} {alarm.unit}{limit && ` ${side(alarm)} ${limit}`}</b>;
}

/** Only the orders that its state allows; the dialog asks for what they need. */
function Orders({ alarm }: { alarm: Alarm }) {
  const t = words();
  const off = !canOrder();
  const give = (verb: Parameters<typeof ask>[0], label: string, main = false) => (
    <button key={verb} type="button" class={main ? "main" : ""} disabled={off} onClick={() => ask(verb, [alarm.id])}>{label}</button>
  );
  if (alarm.state === "shelved") return <span class="row wrap">{give("unshelve", t.unshelve)}</span>;
  // Permits are an engineer's.
  const permits = may("engineer");
  if (alarm.state === "out_of_service") return permits ? <span class="row wrap">{give("return-to-service", t.back)}</span> : null;
  if (alarm.state === "suppressed") return permits ? <span class="row wrap">{give("out-of-service", t.out)}</span> : null;
  return (
    <span class="row wrap">
      {give("shelve", t.shelve)}{permits && give("out-of-service", t.out)}
      {alarm.state.startsWith("latched") && give("reset", t.reset, alarm.state === "latched_acked")}
      {isUnacked(alarm) && give("acknowledge", t.ack, true)}
    </span>
  );
}
