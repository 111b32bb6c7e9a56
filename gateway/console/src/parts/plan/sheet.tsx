// A drawing with its points: moved and zoomed by wheel, fingers and keys; in edit mode, points are dragged.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { dark } from "../media";
import { look } from "../../app/look";
import { link } from "../../live/state";
import { texts } from "../../text";
import { Icon } from "../icon";
import { type Drawing, instruments, type Place, type Tint, tintOf, urgency } from "./data";
import { PlanPoint } from "./point";
import { corner, fitted, held, shareOf, type Size, type View, WHOLE, zoomed } from "./view";

const words = texts({
  en: { plan: (name: string) => `Plan ${name}`, keys: "Arrow keys move the drawing, plus and minus zoom, 0 fits it.", closer: "Closer", farther: "Farther", whole: "Whole plan", missing: "The drawing cannot be shown." },
  zh: { plan: (name: string) => `平面图 ${name}`, keys: "方向键移动，加减键缩放，0 适应窗口。", closer: "放大", farther: "缩小", whole: "全图", missing: "无法显示平面图。" },
});
const STEP = 0.005;

export function Sheet({ drawing, name, places, values, chosen, editing, onPick, onMove }: {
  drawing: Drawing; name: string; places: Record<string, Place>; values: boolean; chosen: string; editing: boolean;
  onPick: (instrument: string) => void; onMove: (instrument: string, x: number, y: number) => void;
}) {
  const t = words();
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  const [view, setView] = useState<View>(WHOLE);
  const [dragged, setDragged] = useState<{ id: string; x: number; y: number } | null>(null);
  const [tint, setTint] = useState<Tint>("neither");
  const [missing, setMissing] = useState(false);
  const sheet = fitted(size, drawing);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => { if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height }); });
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  useEffect(() => { setView(WHOLE); setMissing(false); }, [drawing.url]);
  const zoom = (factor: number, at = { x: size.width / 2, y: size.height / 2 }): void => setView((now) => zoomed(size, sheet, now, factor, at));
  const gesture = useGestures(box, size, sheet, view, setView);
  useEffect(() => {
    // Not passive: the page must not scroll with the drawing.
    const wheel = (e: WheelEvent): void => {
      e.preventDefault();
      const rect = box.current!.getBoundingClientRect();
      zoom(Math.exp(-Math.max(-120, Math.min(120, e.deltaY)) * 0.004), { x: e.clientX - rect.left, y: e.clientY - rect.top });
    };
    const at = box.current!;
    at.addEventListener("wheel", wheel, { passive: false });
    return () => at.removeEventListener("wheel", wheel);
  }, [size.width, size.height, sheet.width, sheet.height]);

  const point = (e: PointerEvent): { x: number; y: number } => { const rect = box.current!.getBoundingClientRect(); return shareOf(size, sheet, view, { x: e.clientX - rect.left, y: e.clientY - rect.top }); };
  const { left, top } = corner(size, sheet, view);
  const own = [...instruments.value.values()].filter((one) => places[one.id]?.plan === drawing.id);
  const day = look.value === "day" || (look.value === "auto" && !dark.value);
  const turned = tint === (day ? "dark" : "light");
  const keyed = (e: KeyboardEvent): void => {
    const id = (e.target as HTMLElement).dataset["instrument"];
    if (editing && id && arrow(e.key)) {
      const [dx, dy] = arrow(e.key)!, step = e.shiftKey ? STEP / 5 : STEP, at = places[id]!;
      onMove(id, Math.min(1, Math.max(0, at.x + dx * step)), Math.min(1, Math.max(0, at.y + dy * step)));
    } else if (arrow(e.key)) { const [dx, dy] = arrow(e.key)!; setView((now) => held(sheet, { ...now, x: now.x - dx * 60, y: now.y - dy * 60 })); }
    else if (e.key === "+" || e.key === "=") zoom(1.5);
    else if (e.key === "-") zoom(1 / 1.5);
    else if (e.key === "0") setView(WHOLE);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <div ref={box} class={`plan-view${editing ? " editing" : ""}${link.value === "lost" ? " lost" : ""}`} tabIndex={0} role="group" aria-label={t.plan(name)} aria-description={t.keys} onKeyDown={keyed} {...gesture}>
      {size.width > 0 && (
        <div class="plan-sheet" style={{ width: `${sheet.width * view.zoom}px`, height: `${sheet.height * view.zoom}px`, transform: `translate(${left}px, ${top}px)` }}>
          {missing ? <div class="plan-missing">{t.missing}</div>
            : <img class={`plan-picture${turned ? " turned" : ""}`} src={`api/v1/${drawing.url}`} alt="" draggable={false} onLoad={(e) => setTint(tintOf(e.currentTarget))} onError={() => setMissing(true)} />}
          {own.map((one) => {
            const at = dragged?.id === one.id ? dragged : places[one.id]!;
            return (
              <PlanPoint key={one.id} one={one} values={values || editing && chosen === one.id} chosen={chosen === one.id} tab={editing || urgency(one.id) < 9} editing={editing}
                style={{ left: `${at.x * 100}%`, top: `${at.y * 100}%` }} onClick={() => onPick(one.id)}
                onPointerDown={(e) => { e.stopPropagation(); if (editing) { e.currentTarget.setPointerCapture(e.pointerId); onPick(one.id); setDragged({ id: one.id, x: at.x, y: at.y }); } }}
                onPointerMove={(e) => { if (dragged?.id === one.id) setDragged({ id: one.id, ...point(e) }); }}
                onPointerUp={() => { if (dragged && (dragged.x !== places[one.id]!.x || dragged.y !== places[one.id]!.y)) onMove(one.id, dragged.x, dragged.y); setDragged(null); }}
                onPointerCancel={() => setDragged(null)} />
            );
          })}
        </div>
      )}
      <div class="plan-zoom" onPointerDown={(e) => e.stopPropagation()}>
        <button type="button" aria-label={t.closer} title={t.closer} onClick={() => zoom(1.6)}><Icon name="plus" size={16} /></button>
        <button type="button" aria-label={t.farther} title={t.farther} disabled={view.zoom === 1} onClick={() => zoom(1 / 1.6)}><Icon name="minus" size={16} /></button>
        {view.zoom > 1 && <button type="button" aria-label={t.whole} title={t.whole} onClick={() => setView(WHOLE)}><Icon name="map" size={16} /></button>}
      </div>
    </div>
  );
}

const ARROWS: Record<string, readonly [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const arrow = (key: string): readonly [number, number] | undefined => ARROWS[key];

/** One finger or the mouse moves the drawing, two fingers zoom it. */
function useGestures(box: { current: HTMLDivElement | null }, size: Size, sheet: Size, view: View, setView: (view: View) => void) {
  const fingers = useRef(new Map<number, { x: number; y: number }>());
  const place = (e: PointerEvent): { x: number; y: number } => { const rect = box.current!.getBoundingClientRect(); return { x: e.clientX - rect.left, y: e.clientY - rect.top }; };
  return {
    onPointerDown: (e: PointerEvent): void => {
      if (e.button !== 0) return;
      box.current!.setPointerCapture(e.pointerId);
      fingers.current.set(e.pointerId, place(e));
    },
    onPointerMove: (e: PointerEvent): void => {
      const last = fingers.current.get(e.pointerId);
      if (!last) return;
      const at = place(e);
      const other = [...fingers.current].find(([id]) => id !== e.pointerId)?.[1];
      fingers.current.set(e.pointerId, at);
      if (!other) { setView(held(sheet, { ...view, x: view.x + at.x - last.x, y: view.y + at.y - last.y })); return; }
      const before = Math.hypot(last.x - other.x, last.y - other.y), after = Math.hypot(at.x - other.x, at.y - other.y);
      if (before > 0) setView(zoomed(size, sheet, view, after / before, { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 }));
    },
    onPointerUp: (e: PointerEvent): void => { fingers.current.delete(e.pointerId); },
    onPointerCancel: (e: PointerEvent): void => { fingers.current.delete(e.pointerId); },
  };
}
