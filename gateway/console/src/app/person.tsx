// Who sits here: signing in and out, the rarer pages, language and look.
import { session } from "../api";
import { caller } from "../live/state";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { may } from "../parts/order";
import { openDoor } from "../pages/signin/door";
import { lang, speak, texts } from "../text";
import { helping } from "./asking";
import { look, wear, type Look } from "./look";
import { href } from "./route";

const words = texts({
  en: {
    signIn: "Sign in", account: "Account", statistics: "Alarm statistics", cases: "Responses", commissioning: "Commissioning", people: "People", wall: "Wall display", keys: "Keyboard",
    auto: "as this computer", night: "night", day: "day", look: "Look", language: "中文", more: "More",
    nobody: "nobody", viewer: "viewer", operator: "operator", engineer: "engineer", administrator: "administrator",
  },
  zh: {
    signIn: "登录", account: "账号", statistics: "报警统计", cases: "处置", commissioning: "调试", people: "人员", wall: "大屏", keys: "键盘",
    auto: "跟随系统", night: "夜间", day: "日间", look: "外观", language: "English", more: "更多",
    nobody: "未登录", viewer: "查看", operator: "值班员", engineer: "工程师", administrator: "管理员",
  },
});
const NEXT: Record<Look, Look> = { auto: "day", day: "night", night: "auto" };

export function Person() {
  const t = words();
  const who = session.value;
  const name = who.signed_in ? who.display_name || who.name : caller.value.name;
  return (
    <Menu label={name ? `${t.account}: ${name}` : t.more} face={<><Icon name="user" /><span class="shell-word clip shell-name">{name || t.signIn}</span><Icon name="down" size={14} /></>}>
      <div class="menu-head"><b>{name || t.nobody}</b> <small class="dim">{t[caller.value.role]}</small></div>
      <button type="button" onClick={() => openDoor()}><Icon name={who.signed_in ? "user" : "key"} />{who.signed_in ? t.account : t.signIn}</button>
      <hr />
      <a class="button" href={href("case")}><Icon name="user" />{t.cases}</a>
      <a class="button" href={href("statistics")}><Icon name="chart" />{t.statistics}</a>
      {may("engineer") && <a class="button" href={href("commissioning")}><Icon name="tools" />{t.commissioning}</a>}
      {may("administrator") && <a class="button" href={href("people")}><Icon name="people" />{t.people}</a>}
      <a class="button" href={href("wall")}><Icon name="wall" />{t.wall}</a>
      <hr />
      <button type="button" lang={lang.value === "zh" ? "en" : "zh-CN"} onClick={() => speak(lang.value === "zh" ? "en" : "zh")}><Icon name="globe" />{t.language}</button>
      <button type="button" onClick={() => wear(NEXT[look.value])}><Icon name={look.value === "day" ? "sun" : "moon"} />{t.look}: {t[look.value]}</button>
      <button type="button" onClick={() => { helping.value = true; }}><Icon name="help" />{t.keys} <kbd>?</kbd></button>
    </Menu>
  );
}
