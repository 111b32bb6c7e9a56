// The site as people know it: drawings with their instruments, or areas as rooms where nobody has drawn any.
import { useEffect, useRef, useState } from "preact/hooks";
import { href } from "../app/route";
import { select, selected } from "../app/selection";
import { alarms, isAside, link, onEvent, quality, table, tick } from "../live/state";
import { either, texts } from "../text";
import { useAsk } from "./ask";
import { FilterChip } from "./chip";
import { Dialog } from "./dialog";
import { Icon } from "./icon";
import { Mark } from "./mark";
import { canOrder, may, Refused, useOrder } from "./order";
import "./plan.css";
import { asLines, type Drawing, type Instrument, instruments, move, type Place, type Plans, putBack, urgency } from "./plan/data";
import { nameOf, PlanPoint } from "./plan/point";
import { Sheet } from "./plan/sheet";
import { isBad } from "./trend/data";
import { areaName, GONE, quantityWord, valueText } from "./words";
import { worstOfArea, worstOfInstrument } from "./worst";

const words = texts({
  en: {
    plan: "Plan", values: "Values", edit: "Place points", done: "Done", lines: "Site file lines", back: "Put back", large: "Larger", rooms: "Areas", none: "No instruments yet.", noArea: "No area",
    tray: (n: number) => `Not on any plan: ${n}`, put: (name: string) => `Put ${name} on this plan`, copy: "Copy", copied: "Copied", close: "Close",
    says: "Copy each line to its instrument in the site file; then the places belong to it.", trend: "Open the point", drag: "Drag points, or move them with the arrow keys (Shift: finer). Places are kept at once.",
  },
  zh: {
    plan: "平面图", values: "数值", edit: "布点", done: "完成", lines: "站点文件行", back: "恢复原位", large: "放大查看", rooms: "区域", none: "尚无仪表。", noArea: "未分区",
    tray: (n: number) => `未布点：${n}`, put: (name: string) => `将 ${name} 放到此图`, copy: "复制", copied: "已复制", close: "关闭",
    says: "将各行复制到站点文件中对应的仪表下，位置即写入站点文件。", trend: "打开测点", drag: "拖动测点，或用方向键移动（Shift 微调）。位置立即保存。",
  },
});
const TRAY_MAX = 200;

/** `large`: the page of its own, where an engineer places the points. */
export function Plan({ large = false }: { large?: boolean }) {
  const t = words();
  const { data, again } = useAsk<Plans>("plans");
  const [wanted, setWanted] = useState("");
  const [values, setValues] = useState(false);
  const [editing, setEditing] = useState(false);
  const [picked, setPicked] = useState("");
  const [asked, setAsked] = useState(false);
  const [moved, setMoved] = useState<Record<string, Place>>({});
  const { refused, give } = useOrder();
  // Others place points too: each move is told on the stream as a note that names the instrument.
  useEffect(() => onEvent((event) => { if (event.kind === "note" && event.instrument) again(); }), [again]);
  useEffect(() => setMoved({}), [data]);
  // Another site file may have other drawings.
  useEffect(again, [table.value]);
  const places = { ...data?.places, ...moved };
  const about = alarms.value.find((alarm) => alarm.id === selected.value);
  const followed = useRef("");
  useEffect(() => {
    // The plan follows the alarm that somebody looks at.
    if (!about || followed.current === about.id) return;
    followed.current = about.id;
    setPicked("");
    const at = places[about.instrument];
    if (at) setWanted(at.plan);
  });
  const save = useSaving((id, x, y, plan) => {
    setMoved((all) => ({ ...all, [id]: { plan, x, y, moved_by: "…" } }));
  }, (id, x, y, plan) => void give(async () => { await move(id, { plan, x, y }); }).then((ok) => { if (!ok) again(); }));
  const pick = (id: string): void => {
    setPicked(id === picked && !editing ? "" : id);
    const worst = worstOfInstrument.value.get(id);
    if (worst && !editing) select(worst.id);
  };
  if (!table.value) return <div class="pane plan" aria-busy="true" />;
  const drawings = data?.plans ?? [];
  const drawing = drawings.find((one) => one.id === wanted) ?? drawings[0];
  const one = instruments.value.get(picked);
  const name = drawing ? either(drawing.label, drawing.label_zh) : t.rooms;
  return (
    <div class={large ? "plan plan-large" : "pane plan"}>
      <div class="plan-bar">
        <div class="grow">
          {drawings.length > 1 && drawings.map((each) => <Tab key={each.id} drawing={each} places={places} on={each.id === drawing?.id} onPress={() => setWanted(each.id)} />)}
          {drawings.length === 1 && <h2>{name}</h2>}
        </div>
        <FilterChip on={values} onPress={() => setValues(!values)}>{t.values}</FilterChip>
        {large && drawing && may("engineer") && <FilterChip on={editing} onPress={() => setEditing(!editing)}>{editing ? t.done : t.edit}</FilterChip>}
        {large && editing && Object.values(places).some((place) => place.moved_by) && <button type="button" class="chip-filter" onClick={() => setAsked(true)}>{t.lines}</button>}
        {!large && <a class="button quiet icon" href={href("plan")} aria-label={t.large} title={t.large}><Icon name="map" /></a>}
      </div>
      {editing && <p class="note small">{t.drag}</p>}
      <Refused text={refused} />
      <div class="plan-body">
        {drawing
          ? <Sheet drawing={drawing} name={name} places={places} values={values} chosen={picked} editing={editing && canOrder()} onPick={pick} onMove={(id, x, y) => save(id, x, y, drawing.id)} />
          : <Rooms values={values} chosen={picked} onPick={pick} />}
        {one && (
          <div class="plan-card">
            <strong>{nameOf(one)}</strong><Values one={one} />
            {editing && places[one.id]?.moved_by && <button type="button" onClick={() => void give(async () => { await putBack(one.id); again(); })}>{t.back}</button>}
            <a href={href("point", table.value.columns.id[one.rows[0]!]!)}>{t.trend}</a>
            <button type="button" class="quiet icon" aria-label={t.close} onClick={() => setPicked("")}><Icon name="close" /></button>
          </div>
        )}
      </div>
      {editing && drawing && <Tray places={places} drawings={drawings} onPut={(id) => { save(id, 0.5, 0.5, drawing.id); setPicked(id); }} />}
      {asked && <Lines text={asLines(places)} onClose={() => setAsked(false)} />}
    </div>
  );
}

/** Show a move at once; tell the gateway when the point has come to rest. */
function useSaving(show: (id: string, x: number, y: number, plan: string) => void, tell: (id: string, x: number, y: number, plan: string) => void) {
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  const last = useRef(tell);
  last.current = tell;
  return (id: string, x: number, y: number, plan: string): void => {
    show(id, x, y, plan);
    clearTimeout(timers.current.get(id));
    timers.current.set(id, setTimeout(() => { timers.current.delete(id); last.current(id, x, y, plan); }, 500));
  };
}

/** A plan's name, with the worst of what stands on it. */
function Tab({ drawing, places, on, onPress }: { drawing: Drawing; places: Record<string, Place>; on: boolean; onPress: () => void }) {
  let worst = 9;
  for (const one of instruments.value.values()) if (places[one.id]?.plan === drawing.id) worst = Math.min(worst, urgency(one.id));
  return <FilterChip on={on} onPress={onPress}>{worst < 9 && <Mark priority={worst} size={14} />}{either(drawing.label, drawing.label_zh)}</FilterChip>;
}

function Values({ one }: { one: Instrument }) {
  tick.value;
  const columns = table.value!.columns;
  return (
    <ul>{one.rows.map((row) => (
      <li key={row}><span class="dim">{quantityWord(columns.quantity[row]!)}</span> {isBad(quality[row] ?? "bad") ? <span class="gone">{GONE}</span> : <b>{valueText(row)}</b>} <span class="dim small">{columns.unit[row]}</span></li>
    ))}</ul>
  );
}

/** Areas as rooms, instruments in rows: every site has a plan. */
function Rooms({ values, chosen, onPick }: { values: boolean; chosen: string; onPick: (id: string) => void }) {
  const t = words();
  const rooms = new Map<string, Instrument[]>();
  for (const one of instruments.value.values()) {
    const room = rooms.get(one.area);
    if (room) room.push(one);
    else rooms.set(one.area, [one]);
  }
  if (!rooms.size) return <div class="empty">{t.none}</div>;
  return (
    <div class={`plan-rooms${link.value === "lost" ? " lost" : ""}`}>
      {[...rooms].map(([area, own]) => {
        const worst = worstOfArea.value.get(area);
        const open = worst && !isAside(worst) ? worst : undefined;
        return (
          <section key={area} class={`plan-room${open ? " open" : ""}`}>
            <h3>{open && <Mark priority={open.priority} level={open.level} size={18} />}<span class="clip">{areaName(area) || t.noArea}</span><small>{own.length}</small></h3>
            <div class="plan-cells">{own.map((one) => <PlanPoint key={one.id} one={one} values={values} chosen={chosen === one.id} onClick={() => onPick(one.id)} />)}</div>
          </section>
        );
      })}
    </div>
  );
}

/** Instruments that stand on no plan yet. */
function Tray({ places, drawings, onPut }: { places: Record<string, Place>; drawings: Drawing[]; onPut: (id: string) => void }) {
  const t = words();
  const known = new Set(drawings.map((one) => one.id));
  const left = [...instruments.value.values()].filter((one) => !known.has(places[one.id]?.plan ?? ""));
  if (!left.length) return null;
  return (
    <div class="plan-tray">
      <span class="dim small">{t.tray(left.length)}</span>
      {left.slice(0, TRAY_MAX).map((one) => <button key={one.id} type="button" aria-label={t.put(nameOf(one))} title={nameOf(one)} onClick={() => onPut(one.id)}>{one.id}</button>)}
    </div>
  );
}

function Lines({ text, onClose }: { text: string; onClose: () => void }) {
  const t = words();
  const [copied, setCopied] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  const copy = (): void => {
    box.current?.select();
    // Plain http has no clipboard object; the old way works everywhere.
    setCopied(document.execCommand("copy"));
  };
  return (
    <Dialog title={t.lines} onClose={onClose} wide foot={<button type="button" class="main" onClick={copy}>{copied ? t.copied : t.copy}</button>}>
      <p>{t.says}</p>
      <textarea ref={box} class="plan-lines" readOnly value={text} data-first />
    </Dialog>
  );
}
