// What was put aside, so that nothing is switched off unseen.
import { href } from "../../app/route";
import { alarms, now } from "../../live/state";
import type { Alarm, State } from "../../live/types";
import { Mark } from "../../parts/mark";
import { clock, spoken } from "../../parts/time";
import { about } from "../../parts/words";
import { either } from "../../text";
import { Part } from "./part";
import { t } from "./words";

const SHOWN_MAX = 50;

export function Aside({ state, title, none }: { state: State; title: string; none: string }) {
  const found = alarms.value.filter((one) => one.state === state);
  return (
    <Part title={title} told={found.length || ""}>
      {found.length ? <ul class="sys-aside">{found.slice(0, SHOWN_MAX).map((one) => <Line key={one.id} one={one} />)}</ul> : <p class="sys-none dim">{none}</p>}
      {found.length > SHOWN_MAX && <p class="sys-none"><a href={href("now", "", { show: state })}>{t().more(String(found.length - SHOWN_MAX))}</a></p>}
    </Part>
  );
}

function Line({ one }: { one: Alarm }) {
  const words = t();
  const told = about(one);
  const over = one.until !== null && Date.parse(one.until) < now.value;
  return (
    <li>
      <Mark priority={one.priority} level={one.level} hollow={one.condition === "normal"} size={18} />
      <div class="sys-what">
        <b>{told.what}</b><span class="dim">{[told.where, told.sub].filter(Boolean).join(" · ")}</span>
        <span>{[one.permit && `${words.permit} ${one.permit}`, one.suppressed_by && `${words.by} ${one.suppressed_by}`, one.why === one.permit ? "" : either(one.why, one.why_zh), one.who].filter(Boolean).join(" · ")}</span>
      </div>
      {one.until && <span class={over ? "sys-warn" : "dim"}>{over ? words.permitOver : one.state === "shelved" ? spoken(Date.parse(one.until) - now.value) : `${words.until} ${clock(one.until)}`}</span>}
    </li>
  );
}
