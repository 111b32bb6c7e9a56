// The chart itself: uPlot with limits, alarm stretches and gaps drawn into it. Loaded when the first trend is shown.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { day, hours } from "../time";
import type { AlarmStretch, Curve, Gap, SetPoint } from "./data";

export interface Shown {
  curve: Curve; gaps: Gap[]; alarms: AlarmStretch[]; limits: SetPoint[];
  /** The window, in seconds since 1970. */ from: number; to: number;
  decimals: number; unit: string; rangeLow: number | null; rangeHigh: number | null;
  /** Scale by what was measured alone, and not so that the limits are seen. */ close: boolean;
  /** A moment to mark: when the alarm was raised. */ around: number | null;
}
export interface Words { limit: (level: string) => string; gap: (quality: string) => string }

type Paint = Record<"ink" | "dim" | "line" | "pane" | "edge" | "p1" | "p2" | "p3" | "p4" | "focus", string>;

const PRIORITIES = ["edge", "p1", "p2", "p3", "p4"] as const;
const FONT = "12px system-ui, sans-serif";

/** The look's colours now; asked again when it changes. */
function paint(): Paint {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return { ink: of("ink"), dim: of("dim"), line: of("line"), pane: of("pane"), edge: of("edge"), p1: of("p1"), p2: of("p2"), p3: of("p3"), p4: of("p4"), focus: of("focus") };
}

export class Chart {
  private plot: uPlot;
  private colours = paint();
  private shown: Shown;
  private zoomed = false;
  private stop: () => void;

  constructor(
    private box: HTMLElement, shown: Shown, private words: Words,
    /** Told where the cursor is: an index into the curve, or null. */ onCursor: (index: number | null) => void,
    private onZoom: (zoomed: boolean) => void,
  ) {
    this.shown = shown;
    this.plot = new uPlot(this.options(onCursor), this.columns(), box);
    const size = new ResizeObserver(() => this.fit());
    size.observe(box);
    const look = new MutationObserver(() => { this.colours = paint(); this.plot.redraw(); });
    look.observe(document.documentElement, { attributes: true, attributeFilter: ["data-look"] });
    const pinch = this.touch();
    this.stop = () => { size.disconnect(); look.disconnect(); pinch(); };
  }

  /** Show something else; a zoom that the person chose stays. */
  show(shown: Shown): void {
    const other = shown.from !== this.shown.from && shown.to - shown.from !== this.shown.to - this.shown.from;
    this.shown = shown;
    if (other) this.zoomed = false;
    const { min, max } = this.plot.scales["x"]!;
    this.plot.batch(() => {
      this.plot.setData(this.columns(), false);
      this.plot.setScale("x", this.zoomed ? { min: min!, max: max! } : { min: shown.from, max: shown.to });
    });
  }

  close(): void {
    this.stop();
    this.plot.destroy();
  }

  /** Move the cursor by readings; from outside it comes to the newest. */
  step(by: number): void {
    const { min, max } = this.plot.scales["x"]!;
    const time = this.shown.curve.time;
    const at = this.plot.cursor.idx;
    const shownNow = (this.plot.cursor.left ?? -1) >= 0;
    const first = time.findIndex((t) => t >= min!);
    let last = time.length - 1;
    while (last > 0 && time[last]! > max!) last--;
    const next = Math.min(last, Math.max(first, shownNow && at !== null && at !== undefined ? at + by : last));
    if (time[next] !== undefined) this.plot.setCursor({ left: this.plot.valToPos(time[next]!, "x"), top: 0 }, true);
  }

  leave(): void { this.plot.setCursor({ left: -10, top: -10 }, true); }

  /** Zoom by a factor about the cursor, or the middle; 0 shows the whole window again. */
  zoom(factor: number, middle?: number): void {
    const { from, to } = this.shown;
    if (!factor) return this.set(from, to, false);
    const { min, max } = this.plot.scales["x"]!;
    const left = this.plot.cursor.left ?? -1;
    const at = middle ?? (left >= 0 ? this.plot.posToVal(left, "x") : (min! + max!) / 2);
    const width = Math.max(10, (max! - min!) / factor);
    if (width >= to - from) return this.set(from, to, false);
    const begin = Math.min(to - width, Math.max(from, at - (at - min!) / factor));
    this.set(begin, begin + width, true);
  }

  pan(share: number): void {
    if (!this.zoomed) return;
    const { min, max } = this.plot.scales["x"]!;
    const by = Math.min(this.shown.to - max!, Math.max(this.shown.from - min!, (max! - min!) * share));
    this.set(min! + by, max! + by, true);
  }

  private set(min: number, max: number, zoomed: boolean): void {
    this.zoomed = zoomed;
    this.plot.setScale("x", { min, max });
    this.onZoom(zoomed);
  }

  private columns(): uPlot.AlignedData {
    const { time, low, mean, high } = this.shown.curve;
    return [time, high, low, mean] as uPlot.AlignedData;
  }

  private fit(): void {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (width && height && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
  }

  private options(onCursor: (index: number | null) => void): uPlot.Options {
    const { box } = this;
    const axis = { stroke: () => this.colours.dim, font: FONT, grid: { stroke: () => this.colours.line, width: 1 }, ticks: { show: false } };
    const hidden = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width: box.clientWidth || 300,
      height: box.clientHeight || 160,
      padding: [12, 12, 0, 0],
      legend: { show: false },
      tzDate: (s) => { const shifted = new Date(`${day(s * 1000)}T${hours(s * 1000)}`); return Number.isNaN(+shifted) ? new Date(s * 1000) : shifted; },
      cursor: {
        y: false,
        drag: { x: true, y: false, dist: 8 },
        points: { size: 8, fill: () => this.colours.ink, stroke: () => this.colours.pane, show: (_, k) => (k === 3 ? point() : false) as unknown as HTMLElement },
        bind: { dblclick: () => () => { this.zoom(0); return null; } },
      },
      scales: { x: { time: true, range: (_, min, max) => [min, max], min: this.shown.from, max: this.shown.to }, y: { range: (_, min, max) => this.range(min, max) } },
      series: [
        {}, hidden, hidden,
        { stroke: () => this.colours.ink, width: 1.5, spanGaps: false, points: { show: false } },
      ],
      bands: [{ series: [1, 2], fill: () => `${this.colours.dim}55` }],
      axes: [
        { ...axis, space: 72, size: 28, values: (_, splits) => this.times(splits) },
        { ...axis, space: 32, size: 52, values: (_, splits, __, ___, step) => splits.map((v) => v.toFixed(Math.max(0, Math.min(4, -Math.floor(Math.log10(step || 1) + 1e-9))))) },
      ],
      hooks: {
        drawClear: [(plot) => this.behind(plot)],
        draw: [(plot) => this.above(plot)],
        setCursor: [(plot) => onCursor((plot.cursor.left ?? -1) >= 0 ? plot.cursor.idx ?? null : null)],
        setSelect: [(plot) => { if (plot.select.width > 0) { this.zoomed = true; this.onZoom(true); } }],
      },
    };
  }

  /** Times of the axis: 24 hours in the site's time zone, the date where a day begins. */
  private times(splits: number[]): string[] {
    const step = (splits[1] ?? 0) - (splits[0] ?? 0);
    let before = "";
    return splits.map((s) => {
      const at = s * 1000;
      const today = day(at);
      const fresh = before !== "" && today !== before;
      before = today;
      if (step >= 86_400) return today.slice(5);
      return fresh || (step >= 21_600 && hours(at, false) === "00:00") ? today.slice(5) : hours(at, step < 60);
    });
  }

  private range(min: number | null, max: number | null): [number, number] {
    const { limits, close, rangeLow, rangeHigh, decimals } = this.shown;
    let low = min ?? rangeLow ?? 0, high = max ?? (limits.length ? low : rangeHigh ?? 1);
    if (!close) for (const { value } of limits) { low = Math.min(low, value); high = Math.max(high, value); }
    // A value that stands still is a line in the middle, and not noise blown up to the whole height.
    const least = Math.max(10 ** -decimals * 10, Math.abs(high) * 0.02);
    if (high - low < least) { const middle = (high + low) / 2; low = middle - least / 2; high = middle + least / 2; }
    const room = (high - low) * 0.08;
    const floor = rangeLow !== null && low >= rangeLow ? Math.max(rangeLow, low - room) : low - room;
    return [floor === low ? low - room / 4 : floor, high + room];
  }

  /** Alarm stretches and gaps lie behind the curve. */
  private behind(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const { min, max } = plot.scales["x"]!;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 10 * devicePixelRatio, bbox.width, bbox.height + 10 * devicePixelRatio);
    ctx.clip();
    const strip = 4 * devicePixelRatio;
    for (const { from, to, priority } of this.shown.alarms) {
      const [left, width] = this.spread(plot, from, Math.min(to, this.shown.to), min!, max!);
      if (!width) continue;
      ctx.fillStyle = this.colours[PRIORITIES[priority]!];
      ctx.globalAlpha = 0.14;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(left, bbox.top - strip - devicePixelRatio, width, strip);
      if (pale(priority)) { ctx.strokeStyle = this.colours.ink; ctx.lineWidth = devicePixelRatio / 2; ctx.strokeRect(left, bbox.top - strip - devicePixelRatio, width, strip); }
    }
    for (const gap of this.shown.gaps) {
      const [left, width] = this.spread(plot, gap.from, gap.to, min!, max!);
      if (width) this.hatch(ctx, bbox, left, width);
    }
    ctx.restore();
  }

  private spread(plot: uPlot, from: number, to: number, min: number, max: number): [number, number] {
    if (to <= min || from >= max) return [0, 0];
    const left = plot.valToPos(Math.max(from, min), "x", true);
    return [left, Math.max(2 * devicePixelRatio, plot.valToPos(Math.min(to, max), "x", true) - left)];
  }

  private hatch(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, left: number, width: number): void {
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = this.colours.edge;
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = ratio;
    ctx.beginPath();
    const step = 8 * ratio;
    // Counted from the whole chart, so that the stripes of neighbours meet and stand still while time goes on.
    const first = Math.floor((left - bbox.height) / step) * step;
    for (let x = first; x < left + width; x += step) { ctx.moveTo(x, bbox.top + bbox.height); ctx.lineTo(x + bbox.height, bbox.top); }
    ctx.stroke();
    ctx.restore();
  }

  /** Why nothing is known there, where there is room for the word. */
  private named(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, left: number, width: number, word: string): void {
    const ratio = devicePixelRatio;
    const size = ctx.measureText(word).width;
    if (size + 16 * ratio >= width) return;
    const x = left + width / 2, y = bbox.top + bbox.height / 2;
    ctx.fillStyle = this.colours.pane;
    ctx.fillRect(x - size / 2 - 6 * ratio, y - 10 * ratio, size + 12 * ratio, 20 * ratio);
    ctx.fillStyle = this.colours.ink;
    ctx.textAlign = "center";
    ctx.fillText(word, x, y);
  }

  /** Limits lie above the curve: nothing may cover them. */
  private above(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const { min, max } = plot.scales["y"]!;
    ctx.save();
    ctx.font = `${12 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "middle";
    const { around } = this.shown;
    const x = plot.scales["x"]!;
    if (around !== null && around >= x.min! && around <= x.max!) {
      const at = Math.round(plot.valToPos(around, "x", true)) + 0.5;
      ctx.strokeStyle = this.colours.ink;
      ctx.lineWidth = ratio;
      ctx.setLineDash([2 * ratio, 2 * ratio]);
      ctx.beginPath(); ctx.moveTo(at, bbox.top); ctx.lineTo(at, bbox.top + bbox.height); ctx.stroke();
    }
    for (const gap of this.shown.gaps) {
      const [left, width] = this.spread(plot, gap.from, gap.to, x.min!, x.max!);
      if (width) this.named(ctx, bbox, left, width, this.words.gap(gap.quality));
    }
    for (const limit of this.shown.limits) {
      const colour = this.colours[PRIORITIES[limit.priority]!];
      const text = `${limit.side === "above" ? "≥" : "≤"} ${limit.value} ${this.words.limit(limit.level)}`;
      if (limit.value < min! || limit.value > max!) continue;
      const y = Math.round(plot.valToPos(limit.value, "y", true)) + 0.5;
      ctx.setLineDash([6 * ratio, 4 * ratio]);
      // Yellow on a light page is seen by its dark rim.
      for (const [stroke, width] of pale(limit.priority) ? [[this.colours.ink, 3], [colour, 1.5]] as const : [[colour, 1.5]] as const) {
        ctx.strokeStyle = stroke;
        ctx.lineWidth = width * ratio;
        ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
      }
      ctx.setLineDash([]);
      this.tag(ctx, text, bbox.left + bbox.width, limit.side === "above" ? y - 9 * ratio : y + 9 * ratio, colour);
    }
    ctx.restore();
  }

  private tag(ctx: CanvasRenderingContext2D, text: string, right: number, y: number, colour: string): void {
    const ratio = devicePixelRatio;
    const width = ctx.measureText(text).width;
    ctx.globalAlpha = 0.85;
    ctx.fillStyle = this.colours.pane;
    ctx.fillRect(right - width - 20 * ratio, y - 7 * ratio, width + 20 * ratio, 14 * ratio);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour;
    ctx.fillRect(right - width - 16 * ratio, y - 4 * ratio, 8 * ratio, 8 * ratio);
    ctx.strokeStyle = this.colours.ink;
    ctx.lineWidth = ratio / 2;
    ctx.strokeRect(right - width - 16 * ratio, y - 4 * ratio, 8 * ratio, 8 * ratio);
    ctx.fillStyle = this.colours.ink;
    ctx.textAlign = "right";
    ctx.fillText(text, right - 2 * ratio, y);
  }

  /** One finger reads values along the curve, two fingers zoom; up and down still scroll the page. */
  private touch(): () => void {
    const over = this.plot.over;
    over.style.touchAction = "pan-y";
    const fingers = new Map<number, number>();
    let apart = 0;
    const place = (e: PointerEvent): number => e.clientX - over.getBoundingClientRect().left;
    const down = (e: PointerEvent): void => {
      if (e.pointerType !== "touch") return;
      fingers.set(e.pointerId, place(e));
      apart = spread(fingers);
      if (fingers.size === 1) this.plot.setCursor({ left: place(e), top: 0 }, true);
    };
    const move = (e: PointerEvent): void => {
      if (!fingers.has(e.pointerId)) return;
      fingers.set(e.pointerId, place(e));
      if (fingers.size === 1) this.plot.setCursor({ left: place(e), top: 0 }, true);
      else if (fingers.size === 2) {
        const wide = spread(fingers), [a = 0, b = 0] = [...fingers.values()];
        if (apart > 0 && wide > 0 && Math.abs(wide - apart) > 4) { this.zoom(wide / apart, this.plot.posToVal((a + b) / 2, "x")); apart = wide; }
      }
    };
    const up = (e: PointerEvent): void => { fingers.delete(e.pointerId); apart = spread(fingers); };
    over.addEventListener("pointerdown", down);
    over.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel", "pointerleave"] as const) over.addEventListener(kind, up);
    return () => fingers.clear();
  }
}

/** Whether a priority's colour alone would not be seen: yellow by day. */
const pale = (priority: number): boolean => priority === 3 && document.documentElement.dataset["look"] === "day";

const spread = (fingers: Map<number, number>): number => {
  const [a, b] = [...fingers.values()];
  return a === undefined || b === undefined ? 0 : Math.abs(a - b);
};

function point(): HTMLElement {
  const element = document.createElement("div");
  element.className = "trend-point";
  return element;
}
