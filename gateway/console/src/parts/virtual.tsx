// A list of any length, of which only what is seen exists.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows all have one `height` in px. Row `show` is brought into view whenever `showKey` changes (without one: whenever it moves). `role` and `label` are for screen readers. */
export function Virtual({ count, height, row, show = -1, showKey, label, role = "list", class: name = "", onNear }: {
  count: number; height: number; row: (index: number) => ComponentChildren; show?: number; showKey?: string; label: string; role?: "list" | "table" | "rowgroup" | "grid";
  class?: string; /** The end is near: fetch more. */ onNear?: () => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [seen, setSeen] = useState(800);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([entry]) => { if (entry) setSeen(entry.contentRect.height); });
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    const at = box.current!;
    if (show < 0) return;
    if (show * height < at.scrollTop) at.scrollTop = show * height;
    else if ((show + 1) * height > at.scrollTop + at.clientHeight) at.scrollTop = (show + 1) * height - at.clientHeight;
  }, [showKey ?? show, height]);
  const first = Math.max(0, Math.min(Math.floor(top / height) - 4, count - 1));
  const last = Math.min(count, Math.ceil((top + seen) / height) + 4);
  useEffect(() => { if (onNear && last >= count) onNear(); }, [last >= count, count]);
  const rows = [];
  for (let k = first; k < last; k++) rows.push(row(k));
  return (
    <div ref={box} class={`virtual ${name}`} tabIndex={0} role={role} aria-label={label} {...(role === "list" ? {} : { "aria-rowcount": count })}
      onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
      <div class="virtual-space" role="presentation" style={{ height: `${count * height}px` }}>
        <div class="virtual-rows" role="presentation" style={{ transform: `translateY(${first * height}px)` }}>{rows}</div>
      </div>
    </div>
  );
}
