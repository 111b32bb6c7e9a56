// The level of an alarm: shape, number and colour at once, for no colour alone can carry four levels.
import { texts } from "../text";

const words = texts({ en: { level: "Priority", fault: "fault", warning: "warning" }, zh: { level: "级别", fault: "故障", warning: "预警" } });
const SHAPES = ["M12 4a8 8 0 1 0 .01 0z", "M12 .5 23.5 12 12 23.5.5 12z", "M12 1 24 23H0z", "M12 1a11 11 0 1 0 .01 0z", "M2 2h20v20H2z"];
const WRENCH = "M16.8 6.2a4 4 0 0 0-5.3 4.8l-4.9 5a1.6 1.6 0 0 0 2.3 2.3l4.9-5a4 4 0 0 0 4.8-5.2l-2.4 2.3-1.9-.4-.4-1.9z";
const RISE = "M5 16.5l4.5-4.5 3.5 3 6-7m-4.5-.3h4.5v4.5";

/** `hollow`: its condition is gone. `flash`: nobody has acknowledged it. */
export function Mark({ priority, level = "", size = 20, hollow = false, flash = false, silent = false }: {
  priority: number; level?: string; size?: number; hollow?: boolean; flash?: boolean;
  /** Its meaning stands beside it in words. */ silent?: boolean;
}) {
  const t = words();
  const kind = level === "fault" ? t.fault : level === "warning" ? t.warning : "";
  const told = silent ? { "aria-hidden": true } : { role: "img" as const, "aria-label": `${t.level} ${priority}${kind && ` ${kind}`}` };
  return (
    <svg class={`mark mark-p${priority}${hollow ? " mark-hollow" : ""}${flash ? " flash" : ""}`} viewBox="0 0 24 24" width={size} height={size} {...told}>
      <path class="mark-shape" d={SHAPES[priority] ?? SHAPES[0]!} />
      {priority > 0 && (kind
        ? <path class="mark-line" d={level === "fault" ? WRENCH : RISE} />
        : <text class="mark-sign" x="12" y={priority === 2 ? 19.5 : 16.3}>{priority}</text>)}
    </svg>
  );
}
