// A word that an order was carried out. What went wrong never stands here: it stands where it was ordered, and stays.
import { signal } from "@preact/signals";

const shown = signal<{ id: number; text: string }[]>([]);
let last = 0;

export function toast(text: string): void {
  const id = ++last;
  shown.value = [...shown.value.slice(-2), { id, text }];
  setTimeout(() => { shown.value = shown.value.filter((one) => one.id !== id); }, 4000);
}

export function Toasts() {
  return <div class="toasts" role="status">{shown.value.map(({ id, text }) => <div key={id} class="toast">{text}</div>)}</div>;
}
