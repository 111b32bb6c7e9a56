import { alarms } from "../../live/state";

/** What an operator sees first: the alarms. */
export function Now() {
  return <ul>{alarms.value.map((alarm) => <li key={alarm.id}>{alarm.priority} {alarm.area} {alarm.why}</li>)}</ul>;
}
