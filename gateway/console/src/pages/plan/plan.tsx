// The plan on a page of its own; here an engineer places the points.
import { Plan } from "../../parts/plan";
import { texts } from "../../text";

const words = texts({ en: { plan: "Plan" }, zh: { plan: "平面图" } });

/** Page `plan`. */
export default function PlanPage() {
  return <section class="page-plan"><h1 class="hidden-text">{words().plan}</h1><div class="pane"><Plan large /></div></section>;
}
