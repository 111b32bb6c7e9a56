import { ask } from "../../app/asking";
import { isUnacked } from "../../live/state";
import { Icon } from "../../parts/icon";
import { Mark } from "../../parts/mark";
import { canOrder, may } from "../../parts/order";
import { texts } from "../../text";
import { byId, marks, unmark } from "./model";

const words = texts({
  en: { marked: (n: string) => `${n} marked`, clear: "Clear marks", acknowledge: "Acknowledge", reset: "Reset", shelve: "Shelve", unshelve: "Unshelve", out: "Out of service", back: "Return to service" },
  zh: { marked: (n: string) => `已勾选 ${n} 条`, clear: "取消勾选", acknowledge: "确认", reset: "复位", shelve: "搁置", unshelve: "取消搁置", out: "停用", back: "恢复使用" },
});

/** What can be ordered about all that is marked; how many of which level stands on it before it is pressed. */
export function Bulk() {
  const t = words();
  const all = [...marks.value].flatMap((id) => byId.value.get(id) ?? []);
  const mix = [1, 2, 3, 4].map((p) => ({ p, n: all.filter((a) => a.priority === p).length })).filter(({ n }) => n > 0);
  const having = (fits: (state: string) => boolean): string[] => all.filter((a) => fits(a.state)).map(({ id }) => id);
  const give = (verb: Parameters<typeof ask>[0], ids: string[], text: string, main = false) => ids.length > 0
    && <button type="button" class={main ? "main" : ""} disabled={!canOrder()} onClick={() => ask(verb, ids, unmark)}>{text} {ids.length}</button>;
  return (
    <div class="now-bulk" role="region" aria-label={t.marked(String(all.length))}>
      <b>{t.marked(String(all.length))}</b>
      {mix.map(({ p, n }) => <span key={p} class="row"><Mark priority={p} size={18} />{n}</span>)}
      <span class="grow" />
      {give("acknowledge", having((state) => isUnacked({ state })), t.acknowledge, true)}
      {give("reset", having((s) => s === "latched_acked"), t.reset)}
      {give("shelve", having((s) => !["shelved", "out_of_service", "suppressed"].includes(s)), t.shelve)}
      {give("unshelve", having((s) => s === "shelved"), t.unshelve)}
      {may("engineer") && give("out-of-service", having((s) => s !== "out_of_service"), t.out)}
      {may("engineer") && give("return-to-service", having((s) => s === "out_of_service"), t.back)}
      <button type="button" class="quiet icon" aria-label={t.clear} onClick={unmark}><Icon name="close" /></button>
    </div>
  );
}
