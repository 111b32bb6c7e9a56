// One alarm: what links in messages open. Of an alarm that is over, the page of its point, around the time it was raised.
import { useAsk } from "../../parts/ask";
import { Refused, reason } from "../../parts/order";
import { alarmOf, isSystem } from "../../parts/words";
import type { AlarmEvent } from "../../live/types";
import { href } from "../../app/route";
import { texts } from "../../text";
import { AlarmCard } from "./alarm_card";
import { History } from "./history";
import { Point } from "./point";

const words = texts({
  en: { none: (id: string) => `Nothing is known of an alarm ${id}.`, over: "This alarm is normal.", loading: "Fetching…", journal: "Journal" },
  zh: { none: (id: string) => `没有报警 ${id} 的记录。`, over: "此报警已恢复正常。", loading: "正在读取…", journal: "日志" },
});

/** Page `alarm/<id>`. */
export default function AlarmPage({ rest }: { rest: string; query: URLSearchParams }) {
  const t = words();
  const alarm = alarmOf(rest);
  const { data, refusal } = useAsk<{ events: AlarmEvent[] }>(`events?newest_first=true&limit=1&alarm=${encodeURIComponent(rest)}`);
  const last = alarm ?? data?.events[0];
  if (!last) return <section class="page">{refusal ? <Refused text={reason(refusal)} /> : <div class="empty">{data ? <><strong>{t.none(rest)}</strong><a class="button" href={href("journal")}>{t.journal}</a></> : t.loading}</div>}</section>;
  if (last.channel && !isSystem({ alarm: rest })) return <Point key={rest} channel={last.channel} focus={rest} around={last.raised_at ?? last.time} />;
  return (
    <section class="page">
      <div class="page-head"><h1 class="mono">{rest}</h1></div>
      {alarm ? <AlarmCard alarm={alarm} whole /> : <p class="note">{t.over}</p>}
      <History alarms={[rest]} />
    </section>
  );
}
