// Drawings of the site and where instruments stand on them.
import { computed, effect, signal } from "@preact/signals";
import { get, part, send } from "../../api";
import { isAside, quality, table, tick } from "../../live/state";
import { isBad } from "../trend/data";
import { worstOfInstrument } from "../worst";

export interface Drawing { id: string; label: string; label_zh: string; url: string; width: number; height: number }
export interface Place { plan: string; x: number; y: number; moved_by: string }
export interface Plans { plans: Drawing[]; places: Record<string, Place> }

/** An instrument as the table knows it: its channels' rows, its area, its name. */
export interface Instrument { id: string; area: string; rows: number[]; label: string; label_zh: string }

/** What the channels of an instrument have in common of their names is the instrument's own. */
export const instruments = computed<Map<string, Instrument>>(() => {
  const found = new Map<string, Instrument>();
  const columns = table.value?.columns;
  columns?.instrument.forEach((id, row) => {
    const one = found.get(id);
    if (!one) { found.set(id, { id, area: columns.area[row]!, rows: [row], label: columns.label[row]!, label_zh: columns.label_zh[row]! }); return; }
    one.rows.push(row);
    one.label = common(one.label, columns.label[row]!) || one.label;
    one.label_zh = common(one.label_zh, columns.label_zh[row]!) || one.label_zh;
  });
  return found;
});

function common(a: string, b: string): string {
  let k = 0;
  while (k < a.length && a[k] === b[k]) k++;
  return a.slice(0, k).trim();
}

/** Instruments of which nothing is known now: no channel has a value. */
export const silent = signal<ReadonlySet<string>>(new Set());
effect(() => {
  tick.value;
  const found: string[] = [];
  for (const { id, rows } of instruments.value.values()) if (rows.every((row) => isBad(quality[row] ?? "bad"))) found.push(id);
  const before = silent.peek();
  if (found.length !== before.size || found.some((id) => !before.has(id))) silent.value = new Set(found);
});

/** How urgent an instrument is: 1 to 4 open, 9 none. */
export const urgency = (id: string): number => {
  const worst = worstOfInstrument.value.get(id);
  return worst && !isAside(worst) ? worst.priority : 9;
};

export const fetchPlans = (): Promise<Plans> => get<Plans>("plans");
export const move = (instrument: string, to: { plan: string; x: number; y: number }): Promise<{ place: Place | null }> => send("PUT", `plans/places/${part(instrument)}`, to);
export const putBack = (instrument: string): Promise<{ place: Place | null }> => send("DELETE", `plans/places/${part(instrument)}`);

/** What was moved on the screen, as lines for the site file. */
export function asLines(places: Record<string, Place>): string {
  return Object.entries(places).filter(([, place]) => place.moved_by)
    .map(([id, { plan, x, y }]) => `  # ${id}\n    position: {plan: ${plan}, x: ${x}, y: ${y}}`).join("\n");
}

export type Tint = "light" | "dark" | "neither";

/** Whether a drawing is made for a light or a dark page, by the look of it; lines in mid-grey suit both. */
export function tintOf(image: HTMLImageElement): Tint {
  const size = 48;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return "neither";
  try {
    context.drawImage(image, 0, 0, size, size);
    const { data } = context.getImageData(0, 0, size, size);
    let cover = 0, light = 0;
    for (let k = 0; k < data.length; k += 4) {
      const alpha = data[k + 3]! / 255;
      cover += alpha;
      light += (alpha * (0.2126 * data[k]! + 0.7152 * data[k + 1]! + 0.0722 * data[k + 2]!)) / 255;
    }
    if (!cover) return "neither";
    const mean = light / cover;
    // Paper that covers the page is light or dark itself; ink alone is dark on a light page.
    const paper = cover / size ** 2 > 0.5;
    if (paper) return mean > 0.6 ? "light" : mean < 0.3 ? "dark" : "neither";
    return mean < 0.35 ? "light" : mean > 0.7 ? "dark" : "neither";
  } catch { return "neither"; }
}
