// A button that opens a short list of further orders.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** `label` says what the button is for where `face` is only an icon. Any click inside, or outside, or Esc closes it. */
export function Menu({ label, face, children, quiet = true }: { label: string; face: ComponentChildren; children: ComponentChildren; quiet?: boolean }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  // Before the next key: whoever opens it by Enter and goes on with the arrows must not be faster than the focus.
  useLayoutEffect(() => {
    if (!open) return;
    const items = (): HTMLElement[] => [...box.current!.querySelectorAll<HTMLElement>(".menu-list :is(a, button):not(:disabled)")];
    items()[0]?.focus();
    const away = (e: Event): void => { if (!box.current?.contains(e.target as Node)) setOpen(false); };
    const key = (e: KeyboardEvent): void => {
      const all = items();
      const at = all.indexOf(document.activeElement as HTMLElement);
      if (e.key === "Escape") { setOpen(false); box.current?.querySelector("button")?.focus(); }
      else if (e.key === "ArrowDown") all[(at + 1) % all.length]?.focus();
      else if (e.key === "ArrowUp") all[(at + all.length - 1) % all.length]?.focus();
      else return;
      e.preventDefault();
      e.stopPropagation();
    };
    document.addEventListener("pointerdown", away, true);
    document.addEventListener("keydown", key, true);
    return () => { document.removeEventListener("pointerdown", away, true); document.removeEventListener("keydown", key, true); };
  }, [open]);
  return (
    <div class="menu" ref={box}>
      <button type="button" class={quiet ? "quiet" : ""} aria-haspopup="true" aria-expanded={open} aria-label={label} onClick={() => setOpen(!open)}>{face}</button>
      {open && <div class="menu-list" onClick={(e) => { if ((e.target as Element).closest("a, button")) setOpen(false); }}>{children}</div>}
    </div>
  );
}
