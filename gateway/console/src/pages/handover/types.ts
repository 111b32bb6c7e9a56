import type { Alarm, Case } from "../../live/types";
import type { AlarmStatistics } from "../statistics/types";

export interface Shift { name: string; name_zh: string; start: string; end: string }
export interface Signed { at: string; by: string; why: string }
export interface Note { at: string; by: string; text: string }
export interface Handed { id: string; shift: Shift; signed: Signed; accepted: Signed | null; superseded?: boolean; seq?: number }
/** A test of an instrument that is due; `due` is null where it was never done. */
export interface Duty { instrument: string; area: string; kind: string; due: string | null; state: string }

/** A shift as it is handed over: the draft of the one that runs, or one that was signed. */
export interface Handover {
  id: string | null; shift: Shift; open: Alarm[]; shelved: Alarm[]; out_of_service: Alarm[]; suppressed: Alarm[]; /** How many more open alarms there are than are listed. */ left_out?: number; cases: Case[];
  calibrations: Duty[]; statistics: AlarmStatistics | null; notes: Note[];
  signed: Signed | null; accepted: Signed | null;
  /** Another signature took its place before it was accepted. */ superseded?: boolean;
  /** The kept report is not what was signed. */ altered?: boolean;
  waiting?: Handed | null;
}
