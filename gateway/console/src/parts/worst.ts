// The most urgent alarm of each channel, instrument and area.
import { computed } from "@preact/signals";
import { alarms, isAside } from "../live/state";
import type { Alarm } from "../live/types";

function first(key: (alarm: Alarm) => string): Map<string, Alarm> {
  const found = new Map<string, Alarm>();
  // The list is most urgent first. What is put aside is shown where nothing else is.
  for (const alarm of alarms.value) {
    const name = key(alarm);
    if (name && (!found.has(name) || (isAside(found.get(name)!) && !isAside(alarm)))) found.set(name, alarm);
  }
  return found;
}

export const worstOfChannel = computed(() => first((alarm) => alarm.channel));
export const worstOfInstrument = computed(() => first((alarm) => alarm.instrument));
export const worstOfArea = computed(() => first((alarm) => alarm.area));
