// What the gateway says of one instrument (`gateway/api/instruments.py`).
export interface Owed { state: "none" | "ok" | "due" | "overdue" | "failed"; last_at: string | null; due_at: string | null; by: string }
export interface Check { id: string; text: string; text_zh: string }
export interface Instrument {
  instrument: string; label: string; label_zh: string; area: string; location: string; connection: string; profile: string;
  channels: string[]; bump: Owed; calibration: Owed; gas: string; expected: number | null; tolerance_percent: number; unit: string; checklist: Check[];
}
