export interface Instrument { id: string; connection: string; type: string; online: boolean; last: string | null; readings: number; bad: number; reason: string }
export interface Uplink {
  id: string; type: string; kind: string; up: boolean; delivered: number; dead: number; waiting: number; oldest: string | null; last: string | null; reason: string;
}
export interface Output { id: string; label: string; connection: string; wanted: boolean; shown: boolean | null; alarms: number; last: string | null; reason: string }
export interface Notifier {
  id: string; type: string; up: boolean; sent: number; failed: number; waiting: number; last_at: string | null; reason: string; health: string;
}
