// Beside the list: where it is, and all that is known of the alarm that is looked at.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../api";
import { table } from "../../live/state";
import type { Alarm } from "../../live/types";
import { Areas } from "./areas";
import { Detail } from "./detail";
import { LazyPlan } from "./lazy_parts";

export { Detail };

/** Whether the site has drawings; null before anybody has said it. */
const planned = signal<boolean | null>(null);

export function Side({ alarm, controls = true }: { alarm: Alarm | undefined; controls?: boolean }) {
  const ready = table.value !== null;
  useEffect(() => {
    if (ready && planned.value === null) void get<{ plans: unknown[] }>("plans").then(({ plans }) => { planned.value = plans.length > 0; }).catch(() => { planned.value = false; });
  }, [ready]);
  return (
    <div class="now-right">
      {planned.value ? <LazyPlan /> : ready && planned.value === false && <Areas />}
      {alarm && <Detail alarm={alarm} controls={controls} />}
    </div>
  );
}
