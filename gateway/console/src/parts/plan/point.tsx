// An instrument on a plan: a grey dot while all is well, its worst alarm otherwise.
import type { ButtonHTMLAttributes } from "preact";
import { selected } from "../../app/selection";
import { alarms, isAside, isUnacked, link, table, tick, trusted } from "../../live/state";
import { either, texts } from "../../text";
import { Mark } from "../mark";
import { areaName, levelWord, stateWord, valueText } from "../words";
import { worstOfInstrument } from "../worst";
import { type Instrument, silent } from "./data";

const words = texts({ en: { calm: "normal", silent: "without value", move: "arrow keys move it" }, zh: { calm: "正常", silent: "无数值", move: "方向键移动" } });

export const nameOf = (one: Instrument): string => either(one.label, one.label_zh) || one.id;

export function PlanPoint({ one, values = false, style, chosen = false, tab = false, editing = false, ...rest }: {
  one: Instrument; /** Show its first value under it. */ values?: boolean; chosen?: boolean; tab?: boolean; editing?: boolean;
} & Omit<ButtonHTMLAttributes, "values">) {
  const t = words();
  const worst = worstOfInstrument.value.get(one.id);
  const open = worst && !isAside(worst) ? worst : undefined;
  // Without a link nobody knows that all is well.
  const quiet = silent.value.has(one.id) || !trusted.value;
  const mine = chosen || alarms.value.some((alarm) => alarm.id === selected.value && alarm.instrument === one.id);
  const said = open ? `${open.priority} ${levelWord(open.level)}` : worst ? `${worst.priority} ${stateWord(worst.state)}` : quiet ? t.silent : t.calm;
  return (
    <button type="button" {...rest} {...(style ? { style } : {})} data-instrument={one.id} tabIndex={open || tab ? 0 : -1} title={nameOf(one)}
      class={`plan-point${open ? ` open p${open.priority}` : ""}${values ? " named" : ""}`} aria-pressed={mine}
      aria-label={`${nameOf(one)}, ${areaName(one.area)}: ${said}${editing ? `, ${t.move}` : ""}`}>
      {open && isUnacked(open) && <span class="plan-halo" />}
      {mine && <span class="plan-chosen" />}
      {worst && !editing ? <Mark priority={worst.priority} level={worst.level} size={open ? 24 : 16} hollow={!open || worst.condition === "normal"} silent /> : <span class={quiet ? "plan-dot silent" : "plan-dot"} />}
      {values && <Value one={one} />}
    </button>
  );
}

function Value({ one }: { one: Instrument }) {
  tick.value;
  const row = one.rows[0]!;
  const text = valueText(row);
  return <span class={`plan-name${link.value === "lost" ? " gone" : ""}`}>{text} {table.value?.columns.unit[row]}</span>;
}
