// How many of which level: what the header, the title and the live region say.
import { computed } from "@preact/signals";
import { alarms, isAside, isUnacked, link, open, siteName, unacked } from "../live/state";
import type { Alarm } from "../live/types";

export interface Count { priority: number; unacked: number; open: number }

/** Of each priority: unacknowledged and open alarms. */
export const counts = computed<Count[]>(() => {
  const found = [1, 2, 3, 4].map((priority) => ({ priority, unacked: 0, open: 0 }));
  for (const alarm of open.value) {
    const one = found[alarm.priority - 1];
    if (!one) continue;
    one.open++;
    if (isUnacked(alarm)) one.unacked++;
  }
  return found;
});

/** How many are put aside, in which way. */
export const aside = computed(() => {
  const found = { shelved: 0, out_of_service: 0, suppressed: 0 };
  for (const alarm of alarms.value) if (isAside(alarm) && alarm.state in found) found[alarm.state as keyof typeof found]++;
  return found;
});

/** The alarm that the banner shows: unacknowledged, and more than a warning or a fault of low priority. */
export const foremost = computed<Alarm | undefined>(() => unacked.value.find((alarm) => alarm.priority <= 2 && alarm.level !== "warning"));

/** `⚠` where the page may not be believed, else `(3) site`. */
export const title = computed(() => {
  const name = siteName.value || "Hazgate";
  if (link.value === "lost" || link.value === "waiting") return `⚠ ${name}`;
  const waiting = unacked.value.length;
  return waiting ? `(${waiting}) ${name}` : name;
});
