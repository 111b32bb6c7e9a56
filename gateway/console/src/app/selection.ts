// The alarm that the person looks at: the list, the plan and the detail show the same one.
import { signal } from "@preact/signals";

/** Its id, empty for none. */
export const selected = signal("");
/** A person chose it; else the page shows the most urgent one, whichever that is. */
export const chosen = signal(false);

/** Look at an alarm; with an empty id, at the most urgent one again. */
export function select(id: string): void {
  chosen.value = id !== "";
  if (id) selected.value = id;
}
