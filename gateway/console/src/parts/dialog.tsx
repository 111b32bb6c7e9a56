// A question that must be answered first. The browser's own dialog keeps the focus inside and gives it back.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { texts } from "../text";
import { Icon } from "./icon";

const words = texts({ en: { close: "Close" }, zh: { close: "关闭" } });

/** Esc and the cross call `onClose`; Enter sends the form (`onSubmit`), except in a text of several lines. */
export function Dialog({ title, mark, onClose, onSubmit, children, foot, wide = false }: {
  title: string; mark?: ComponentChildren; onClose: () => void; onSubmit?: () => void;
  children: ComponentChildren; /** The buttons; the one that sends has `type="submit"`. */ foot?: ComponentChildren; wide?: boolean;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = box.current!;
    const before = document.activeElement;
    dialog.showModal();
    (dialog.querySelector<HTMLElement>("[data-first]") ?? dialog.querySelector<HTMLElement>("input, select, textarea, button[type=submit]"))?.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const inside = (
    <>
      <div class="dialog-head">{mark}<h2 id={id}>{title}</h2><button type="button" class="quiet icon" aria-label={words().close} onClick={onClose}><Icon name="close" /></button></div>
      <div class="dialog-body">{children}</div>
      {foot && <div class="dialog-foot">{foot}</div>}
    </>
  );
  return (
    <dialog ref={box} class={wide ? "wide" : ""} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); onClose(); }}
      onKeyDown={(e) => e.stopPropagation()}>
      {onSubmit
        ? <form method="dialog" class="dialog-form" onSubmit={(e) => { e.preventDefault(); onSubmit(); }}>{inside}</form>
        : inside}
    </dialog>
  );
}
