// Parts that come after the alarms: the list never waits for a chart.
import type { Alarm } from "../../live/types";
import { lazily } from "../../parts/lazily";

export const LazySide = lazily<{ alarm: Alarm | undefined }>(() => import("./side").then(({ Side }) => Side), "now-right");
export const LazyDetail = lazily<{ alarm: Alarm }>(() => import("./side").then(({ Detail }) => Detail), "now-detail");
export const LazyBulk = lazily<object>(() => import("./bulk").then(({ Bulk }) => Bulk), "now-bulk");
export const LazyStart = lazily<object>(() => import("./start").then(({ Start }) => Start));
