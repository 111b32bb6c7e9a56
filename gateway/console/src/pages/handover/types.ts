import type { Alarm, Case } from "../../live/types";
import type { AlarmStatistics } from "../statistics/types";

export interface Shift { name: string; name_zh: string; start: string; end: string }
export interface Signed { at: string; by: string; why: string }
export interface Note { at: string; by: string; text: string }
export interface Waiting { id: string; shift: Shift; signed: Signed | null }
export interface Calibration {
  instrument: string; area: string; state: "ok" | "due" | "overdue" | "none";
  last_at: string | null; due_at: string | null; last_bump_at: string | null; bump_due_at: string | null;
}

/** A shift as it is handed over: the draft of the one that runs, or one that was signed. */
export interface Handover {
  id: string | null; shift: Shift; open: Alarm[]; shelved: Alarm[]; out_of_service: Alarm[]; suppressed: Alarm[]; cases: Case[];
  calibrations: Calibration[]; statistics: AlarmStatistics | null; notes: Note[];
  signed: Signed | null; accepted: { at: string; by: string } | null; waiting?: Waiting | null;
}
