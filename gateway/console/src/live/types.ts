// What the gateway says, as `gateway/api` encodes it. Times are RFC 3339.

export type State =
  | "normal" | "unacked" | "acked" | "returned" | "latched_unacked" | "latched_acked"
  | "shelved" | "suppressed" | "out_of_service";
export type Level = "normal" | "warning" | "fault" | "low" | "high";
export type Priority = 0 | 1 | 2 | 3 | 4;
export type Role = "nobody" | "viewer" | "operator" | "engineer" | "administrator";

export interface AlarmEvent {
  seq: number; time: string; kind: string; alarm: string; state: State; level: Level; condition: Level;
  priority: Priority; occurrence: number; raised_at: string | null; first: boolean; annunciate: boolean;
  channel: string; instrument: string; area: string; quantity: string; unit: string;
  value: number | null; limit: number | null; quality: string; test: boolean;
  who: string; why: string; why_zh: string; until: string | null; acked_by: string; acked_at: string | null;
  sounded: number;
  /** What the alarm is about, whoever did something last; who put it aside, and why, while it is. */
  said?: string; said_zh?: string; aside_by?: string; aside_why?: string;
  permit?: string; suppressed_by?: string; case?: Case | null; calibration?: Calibration | null;
}

/** What stands beside an event on the stream: the parts of its alarm that never change. */
export interface Fixed {
  latching: boolean; response: string; response_zh?: string; delayed: boolean; note_required?: boolean;
}

export interface Alarm extends AlarmEvent, Fixed {
  id: string;
  silenced: boolean;
  /** The first alarm of the area that this one follows, or empty. */
  follows?: string;
  /** The second in which its last event came to this page. */
  tick?: number;
}

export interface Action { at: string; by: string; text: string }
export type Outcome = "" | "real" | "false" | "maintenance" | "test" | "instrument_fault";
export type CaseState = "new" | "received" | "dispatched" | "arrived" | "closed";
export type Step = "acknowledge" | "dispatch" | "arrive" | "close";

export interface Case {
  id: string; alarm: string; occurrence: number; channel: string; instrument: string; area: string;
  title: string; title_zh: string; priority: Priority; state: CaseState;
  opened_at: string; opened_by: string; received_by: string; received_at: string | null;
  assignee: string; phone: string; dispatched_by: string; dispatched_at: string | null; arrived_at: string | null;
  actions: Action[]; outcome: Outcome; note: string; closed_by: string; closed_at: string | null;
  over: boolean; overdue: Step[]; due: Record<Step, string | null>; photo: string;
}

export interface Calibration {
  kind: "bump" | "calibration"; passed: boolean; expected: number | null; shown: number | null; gas: string;
}

export interface Values { rows: number[]; value: (number | null)[]; quality: number[] }
export interface FloodArea { area: string; priority: Priority; count: number; first: string; first_at: string }
export interface Flood { active: boolean; count: number; since: string | null; areas: FloodArea[] }

export interface Snapshot {
  time: string; site: string; name: string; epoch: string; table: number; seq: number; caller: string; role: Role;
  qualities: Record<string, string>; audible: boolean; alarms: Alarm[]; values: Values; flood?: Flood;
}
export interface Frame { time: string; audible: boolean; alarms: number; values: Values; flood?: Flood }
export interface TableChanged { table: number; channels: number }

/** The channel table as columns, in row order. */
export interface Channels {
  id: string[]; instrument: string[]; quantity: string[]; unit: string[]; decimals: number[]; area: string[];
  location: string[]; label: string[]; label_zh: string[]; range_low: (number | null)[]; range_high: (number | null)[];
}

export interface Area { id: string; label: string; label_zh: string; phone: string; response: string; response_zh: string }
export interface Site {
  id: string; name: string; name_zh: string; timezone: string; version: string; areas: Area[];
  shifts: { name: string; name_zh: string; begins: string }[];
  response: { enabled: boolean; priorities: number[]; limits: Record<string, number | null> };
  shelving: { operator_s: number; engineer_s: number; red_by_operator: boolean };
  out_of_service_max_s: number; flood: { begins: number; ends: number }; first_out_s: number;
}

export interface Session {
  signed_in: boolean; name: string; display_name: string; role: Role; csrf: string; expires_at: string | null;
  must_change: boolean; setup: boolean; read: "signed-in" | "anyone";
}
