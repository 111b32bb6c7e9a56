// What the side shows of other pages: it comes after the words about the alarm.
import { lazily } from "../../parts/lazily";

export const LazyTrend = lazily<{ channel: string; around?: string; height?: number }>(() => import("../../parts/trend").then(({ Trend }) => Trend), "now-lazy-trend");
export const LazySteps = lazily<{ id: string; compact?: boolean }>(() => import("../case/steps").then(({ CaseSteps }) => CaseSteps));
export const LazyPlan = lazily<{ large?: boolean }>(() => import("../../parts/plan").then(({ Plan }) => Plan), "now-lazy-plan");
