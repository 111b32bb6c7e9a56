// While nothing is wrong: one area after the other with its values, so that a frozen screen is seen as such.
import { useEffect, useState } from "preact/hooks";
import { isUnacked, quality, site, table, tick, trusted, value } from "../../live/state";
import type { Alarm } from "../../live/types";
import { areaName, channelName, GONE, qualityWord, valueText } from "../../parts/words";

const TURN_MS = 15_000;
const SHOWN = 24;

/** The alarm that a wall looks at: the first that waits for somebody, else the first of the list. */
export const worst = (ids: readonly string[], all: ReadonlyMap<string, Alarm>): string | undefined =>
  ids.find((id) => { const alarm = all.get(id); return alarm && isUnacked(alarm); }) ?? ids.find((id) => all.has(id));

export function Tour() {
  const [turn, set] = useState(0);
  useEffect(() => { const timer = setInterval(() => set((n) => n + 1), TURN_MS); return () => clearInterval(timer); }, []);
  void tick.value;
  const columns = table.value!.columns;
  const areas = [...new Set([...(site.value?.areas ?? []).map(({ id }) => id).filter((id) => columns.area.includes(id)), ...columns.area])];
  // An area of many channels takes several turns.
  const turns = areas.flatMap((id) => pages(columns.area.flatMap((own, row) => (own === id ? [row] : []))).map((rows) => ({ id, rows })));
  const shown = turns[turn % Math.max(1, turns.length)];
  if (!shown || !trusted.value) return null;
  return (
    <section class="wall-tour" aria-label={areaName(shown.id)}>
      <h2>{areaName(shown.id)}</h2>
      <div class="wall-values">{shown.rows.map((row) => <Value key={row} row={row} />)}</div>
      <div class="wall-dots" aria-hidden="true">{turns.map((one, k) => <i key={k} class={one === shown ? "wall-dot-on" : ""} />)}</div>
    </section>
  );
}

function pages(rows: number[]): number[][] {
  const found = [];
  for (let k = 0; k < rows.length; k += SHOWN) found.push(rows.slice(k, k + SHOWN));
  return found;
}

function Value({ row }: { row: number }) {
  const columns = table.value!.columns;
  const poor = quality[row] !== "good";
  const text = Number.isFinite(value[row]) ? valueText(row) : GONE;
  return <div class="wall-value"><span class="clip">{channelName(columns.id[row]!)}</span><b class={text === GONE ? "gone" : ""}>{text}</b><small>{poor ? qualityWord(quality[row] ?? "bad") : columns.unit[row]}</small></div>;
}
