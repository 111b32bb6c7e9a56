/** How alarms were over a span, after EEMUA 191 and ISA-18.2. */
export interface AlarmStatistics {
  start: string; end: string; raised: number; by_priority: Record<string, number>; by_level: Record<string, number>;
  per_10_min: { start: string; count: number }[]; peak_10_min: number;
  floods: { start: string; end: string | null; count: number }[]; in_flood_percent: number; per_hour: number;
  top: { alarm: string; area: string; count: number; share_percent: number }[];
  chattering: { alarm: string; max_per_min: number; count: number }[];
  fleeting: { alarm: string; count: number }[];
  stale: { alarm: string; since: string }[];
  acknowledge: { median_s: number | null; p90_s: number | null; unacknowledged: number };
  shelved: Aside[]; suppressed: Aside[]; out_of_service: Aside[];
  cases: { opened: number; closed: number; overdue: number; by_outcome: Record<string, number> };
  advice: { en: string; zh: string; alarm: string }[];
}
export interface Aside { alarm: string; total_s: number; times: number }
