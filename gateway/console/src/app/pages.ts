// The pages by name. All but the first are loaded when they are first opened, each with its words.
import type { ComponentType } from "preact";
import { Now } from "../pages/now/now";

export type Page = ComponentType<{ rest: string; query: URLSearchParams }>;
type Load = () => Promise<{ default: Page }>;

export const FIRST: Record<string, Page> = { now: Now };
export const LATER: Record<string, Load> = {
  channels: () => import("../pages/channels/channels"),
  point: () => import("../pages/point/point"),
  alarm: () => import("../pages/point/alarm"),
  plan: () => import("../pages/plan/plan"),
  journal: () => import("../pages/journal/journal"),
  handover: () => import("../pages/handover/handover"),
  system: () => import("../pages/system/system"),
  commissioning: () => import("../pages/commissioning/commissioning"),
  people: () => import("../pages/people/people"),
  statistics: () => import("../pages/statistics/statistics"),
  case: () => import("../pages/case/case"),
  instrument: () => import("../pages/instrument/instrument"),
  wall: () => import("../pages/wall/wall"),
};
