// The site at a glance, one tile an area: how bad, how many, what came first, and whether its values can be trusted.
import { computed } from "@preact/signals";
import { isUnacked, open, quality, site, table, tick, trusted } from "../../live/state";
import type { Alarm } from "../../live/types";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { about, areaName } from "../../parts/words";
import { worstOfArea } from "../../parts/worst";
import { area, filterArea } from "./model";
import { words } from "./side_words";

/** Rows of the channels of each area, in the site's order of areas. */
const rows = computed(() => {
  const found = new Map<string, number[]>((site.value?.areas ?? []).map(({ id }) => [id, []]));
  table.value?.columns.area.forEach((id, row) => { const own = found.get(id); if (own) own.push(row); else found.set(id, [row]); });
  return [...found];
});
/** Open alarms of each area, most urgent first. */
const alarmsOf = computed(() => {
  const found = new Map<string, Alarm[]>();
  for (const alarm of open.value) { const own = found.get(alarm.area); if (own) own.push(alarm); else found.set(alarm.area, [alarm]); }
  return found;
});

const GOOD = new Set(["good", "uncertain", "over_range", "test", "clock_doubtful", "maintenance"]);

export function Areas() {
  const t = words();
  void tick.value;
  return (
    <section class="now-areas pane" aria-label={t.places}>
      {rows.value.filter(([id, own]) => own.length > 0 || alarmsOf.value.has(id)).map(([id, own]) => <Tile key={id} id={id} all={own.length} bad={own.reduce((n, row) => n + Number(!GOOD.has(quality[row] ?? "bad")), 0)} alarms={alarmsOf.value.get(id) ?? []} />)}
    </section>
  );
}

function Tile({ id, all, bad, alarms }: { id: string; all: number; bad: number; alarms: Alarm[] }) {
  const t = words();
  const [worst] = alarms;
  const first = alarms.find((alarm) => alarm.first) ?? worst;
  const known = trusted.value;
  // What is put aside is not well: no tick where gas may stand behind a shelving.
  const aside = worst ? undefined : worstOfArea.value.get(id);
  return (
    <button type="button" class={`now-tile${worst && isUnacked(worst) && worst.level !== "warning" ? ` now-tile-new now-p${worst.priority}` : ""}`} aria-pressed={area.value === id} onClick={() => filterArea(id)}>
      <span class="now-tile-head">{worst ? <Mark priority={worst.priority} level={worst.level} size={24} /> : aside && known ? <Mark priority={aside.priority} level={aside.level} size={20} hollow silent /> : known ? <Icon name="check" size={20} /> : <Icon name="cut" size={20} />}<b class="clip grow">{areaName(id) || "—"}</b>{alarms.length > 0 && <b>{alarms.length}</b>}</span>
      <small class="clip">{first ? `${first.first ? `${t.first} ` : ""}${about(first).what}` : known ? t.channels(String(all)) : "— —"}{bad > 0 && <> · <b class="now-tile-bad">{t.bad(String(bad))}</b></>}</small>
    </button>
  );
}
