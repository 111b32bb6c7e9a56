import { flood, open, trusted } from "../live/state";
import type { FloodArea } from "../live/types";
import { filterArea, area } from "../pages/now/model";
import { Mark } from "../parts/mark";
import { clock } from "../parts/time";
import { about, alarmOf, areaName } from "../parts/words";
import { texts } from "../text";

const words = texts({
  en: { flood: (n: string) => `Alarm flood: ${n} in 10 minutes`, began: "first" },
  zh: { flood: (n: string) => `报警洪泛：10 分钟 ${n} 条`, began: "首发" },
});

/** More alarms than a person can read: by area, the first of each, most urgent first. */
export function FloodStrip() {
  const t = words();
  const { active, count, areas } = flood.value;
  if (!active || !trusted.value) return null;
  const shown = areas.length ? areas : counted();
  return (
    <section class="shell-flood" aria-label={t.flood(String(count))}>
      <b class="shell-flood-title">{t.flood(String(count))}</b>
      <div class="shell-flood-areas">{shown.map((one) => (
        <button key={one.area} type="button" class="shell-flood-area" aria-pressed={area.value === one.area} onClick={() => filterArea(one.area)}>
          <Mark priority={one.priority} size={18} /><b>{areaName(one.area) || "—"}</b><span>{one.count}</span>
          {one.first && <small>{t.began} {firstWord(one)}</small>}
        </button>
      ))}</div>
    </section>
  );
}

function firstWord(one: FloodArea): string {
  const alarm = alarmOf(one.first);
  return `${alarm ? about(alarm).what : one.first} ${one.first_at ? clock(one.first_at) : ""}`;
}

function counted(): FloodArea[] {
  const found = new Map<string, FloodArea>();
  for (const alarm of open.value) {
    const one = found.get(alarm.area);
    if (!one) found.set(alarm.area, { area: alarm.area, priority: alarm.priority, count: 1, first: alarm.id, first_at: alarm.raised_at ?? "" });
    else { one.count++; if (alarm.priority < one.priority) one.priority = alarm.priority; }
  }
  return [...found.values()];
}
