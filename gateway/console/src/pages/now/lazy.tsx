// Parts that come after the alarms: the list never waits for a chart.
import type { ComponentType } from "preact";
import { lazily } from "../../parts/lazily";

export const LazyTrend = lazily<{ channel: string; around?: string; height?: number }>(() => import("../../parts/trend").then(({ Trend }) => Trend), "now-lazy-trend");
export const LazySteps = lazily<{ id: string; compact?: boolean }>(() => import("../case/steps").then(({ CaseSteps }) => CaseSteps));
const [plan] = Object.values(import.meta.glob<{ Plan: ComponentType }>("../../parts/plan.tsx"));
export const LazyPlan = lazily<object>(() => plan ? plan().then(({ Plan }) => Plan) : Promise.reject(new Error("no plan")), "now-lazy-plan");
