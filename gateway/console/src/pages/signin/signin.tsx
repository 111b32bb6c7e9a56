// The door: signing in over whatever page stands there, the first account, a new password, and one's own account.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { post, Refusal, send, session } from "../../api";
import { href } from "../../app/route";
import { test } from "../../app/sound";
import { connect } from "../../live/stream";
import { siteName } from "../../live/state";
import type { Role, Session } from "../../live/types";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { Refused, useOrder } from "../../parts/order";
import { Time } from "../../parts/time";
import { toast } from "../../parts/toast";
import { lang, speak, texts } from "../../text";
import { door, mayLeave, openDoor, shutDoor } from "./door";
import "./signin.css";

const t = texts({
  en: {
    signIn: "Sign in", signingIn: "Signing in…", name: "Name", password: "Password", show: "Show", hide: "Hide",
    why: "This gateway shows its values only to people it knows.", whyOrder: "What you do is journalled under your name. It goes on as soon as you have signed in.",
    wrong: "Name or password is wrong.", wrongOld: "The present password is wrong.", wrongCode: "The code is wrong, or no longer good. A fresh one stands on the terminal.", tone: "Test the sound", toSetup: "Make the first account",
    setup: "First administrator", setupWhy: "The gateway has no accounts yet. The one-time code stands on the terminal where it runs: whoever can read it there becomes its first administrator.",
    code: "One-time code", display: "Name as others read it", again: "Password once more", make: "Make the account", length: "At least 10 characters; a sentence is easier to remember than signs.",
    differ: "The two passwords are not the same.", short: "The password has fewer than 10 characters.",
    change: "Change password", must: "Choose a password that only you know", mustWhy: "The one you came in with was given to you by somebody else. Until you have changed it you can look, but order nothing.", old: "Present password", fresh: "New password", save: "Change password", changed: "Password changed",
    me: "Your account", role: "Role", until: "Signed in until", out: "Sign out", people: "Accounts and tokens", welcome: (name: string) => `Signed in as ${name}`, gone: "Signed out", cancel: "Cancel", later: "Later",
    roles: (role: string) => ({ nobody: "nobody", viewer: "Viewer", operator: "Operator", engineer: "Engineer", administrator: "Administrator" })[role] ?? role,
    mayDo: (role: string) => ({ viewer: "Reads everything.", operator: "Acknowledges, resets, silences, shelves, responds, hands over.", engineer: "Takes out of service, commissions, calibrates, reloads.", administrator: "Makes accounts and tokens, besides all else." })[role] ?? "",
  },
  zh: {
    signIn: "登录", signingIn: "正在登录…", name: "用户名", password: "密码", show: "显示", hide: "隐藏",
    why: "本网关仅向已登录人员显示数据。", whyOrder: "操作将以您的姓名记入日志。登录后即继续执行。",
    wrong: "用户名或密码错误。", wrongOld: "当前密码错误。", wrongCode: "验证码错误或已失效，请查看终端上的新验证码。", tone: "试听报警声", toSetup: "创建首个账号",
    setup: "首位管理员", setupWhy: "网关尚无账号。一次性验证码显示在运行网关的终端上，能读到它的人即可成为首位管理员。",
    code: "一次性验证码", display: "显示姓名", again: "再次输入密码", make: "创建账号", length: "至少 10 个字符；用一句话比用符号更好记。",
    differ: "两次输入的密码不一致。", short: "密码少于 10 个字符。",
    change: "修改密码", must: "请设置只有您本人知道的密码", mustWhy: "您登录所用的密码是他人设置的。修改之前只能查看，不能操作。", old: "当前密码", fresh: "新密码", save: "修改密码", changed: "密码已修改",
    me: "我的账号", role: "角色", until: "登录有效至", out: "退出登录", people: "账号与令牌", welcome: (name: string) => `已登录：${name}`, gone: "已退出登录", cancel: "取消", later: "稍后",
    roles: (role: string) => ({ nobody: "无", viewer: "查看", operator: "值班员", engineer: "工程师", administrator: "管理员" })[role] ?? role,
    mayDo: (role: string) => ({ viewer: "可查看全部内容。", operator: "可确认、复位、消音、搁置、处置、交接班。", engineer: "可停用、调试、标定、重新加载。", administrator: "除上述外，可管理账号与令牌。" })[role] ?? "",
  },
});

/** A role as people say it. */
export const roleWord = (role: Role): string => t().roles(role);
/** What a role may do, in one line. */
export const roleMeaning = (role: Role): string => t().mayDo(role);

/** The door, as `door` says. */
export function SignIn() {
  switch (door.value) {
    case "in": return <Enter />;
    case "setup": return <Setup />;
    case "password": return <Change />;
    case "me": return <Me />;
    case "closed": return null;
  }
}

/** Take a session over: the stream begins anew, because another person's rights count. */
function arrive(next: Session): void {
  session.value = next;
  connect();
  // Whoever begins to watch hears that the sound works; the press on the button allows it.
  test();
}

function Enter() {
  const words = t();
  const order = useOrder();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const enter = async (): Promise<void> => {
    let next: Session | null = null;
    if (await order.give(async () => { next = await post<Session>("session", { name: name.trim(), password }).catch(wrongly(words.wrong)); })) {
      arrive(next!);
      toast(words.welcome(next!.display_name || next!.name));
      if (next!.must_change) openDoor("password");
      else shutDoor(true);
    } else setPassword("");
  };
  return (
    <Frame title={words.signIn} told={mayLeave.value ? words.whyOrder : words.why} send={words.signIn} busy={order.busy} onSubmit={() => void enter()}
      more={session.value.setup && <button type="button" class="quiet" onClick={() => openDoor("setup")}>{words.toSetup}</button>}>
      <label class="field"><span>{words.name}</span><input value={name} autocomplete="username" autocapitalize="none" spellcheck={false} required data-first onInput={(e) => setName(e.currentTarget.value)} /></label>
      <Password label={words.password} value={password} change={setPassword} autocomplete="current-password" />
      <Refused text={order.refused} />
    </Frame>
  );
}

/** Here a refusal (401, 403) means that what was typed is wrong, and not that a role does not suffice. */
const wrongly = (words: string) => (error: unknown): never => {
  throw error instanceof Refusal && (error.status === 401 || error.status === 403) ? new Refusal(422, words) : error;
};

function Setup() {
  const words = t();
  const order = useOrder();
  const [form, set] = useState({ code: "", name: "", display_name: "", password: "", again: "" });
  const [fault, setFault] = useState("");
  const make = async (): Promise<void> => {
    const wrong = faultOf(form.password, form.again);
    setFault(wrong);
    if (wrong) return;
    let next: Session | null = null;
    const { again: _, ...body } = form;
    if (await order.give(async () => { next = await post<Session>("setup", body).catch(wrongly(words.wrongCode)); })) {
      arrive(next!);
      shutDoor(true);
    }
  };
  return (
    <Frame title={words.setup} told={words.setupWhy} send={words.make} busy={order.busy} onSubmit={() => void make()}
      more={!session.value.setup && <button type="button" class="quiet" onClick={() => openDoor("in")}>{words.signIn}</button>}>
      <label class="field"><span>{words.code}</span><input class="mono signin-code" value={form.code} autocomplete="one-time-code" autocapitalize="characters" spellcheck={false} placeholder="XXXXX-XXXXX" maxLength={24} required data-first onInput={(e) => set({ ...form, code: e.currentTarget.value })} /></label>
      <div class="signin-two">
        <label class="field"><span>{words.name}</span><input value={form.name} autocomplete="username" autocapitalize="none" spellcheck={false} maxLength={64} required onInput={(e) => set({ ...form, name: e.currentTarget.value })} /></label>
        <label class="field"><span>{words.display}</span><input value={form.display_name} autocomplete="name" maxLength={64} onInput={(e) => set({ ...form, display_name: e.currentTarget.value })} /></label>
      </div>
      <Password label={words.password} value={form.password} change={(password) => set({ ...form, password })} autocomplete="new-password" hint={words.length} />
      <Password label={words.again} value={form.again} change={(again) => set({ ...form, again })} autocomplete="new-password" />
      <Refused text={fault || order.refused} />
    </Frame>
  );
}

function Change() {
  const words = t();
  const order = useOrder();
  const [form, set] = useState({ old: "", fresh: "", again: "" });
  const [fault, setFault] = useState("");
  const change = async (): Promise<void> => {
    const wrong = faultOf(form.fresh, form.again);
    setFault(wrong);
    if (wrong) return;
    let next: Partial<Session> | null = null;
    if (await order.give(async () => { next = await post<Partial<Session>>("session/password", { old: form.old, new: form.fresh }).catch(wrongly(words.wrongOld)); })) {
      session.value = { ...session.value, must_change: false, ...(next ?? {}) };
      toast(words.changed);
      shutDoor(true);
    }
  };
  const must = session.value.must_change;
  return (
    <Frame title={must ? words.must : words.change} told={must ? words.mustWhy : ""} send={words.save} busy={order.busy} onSubmit={() => void change()}
      more={must && <button type="button" class="quiet" onClick={() => void leave(order.give)}>{words.out}</button>}>
      <input type="text" hidden autocomplete="username" value={session.value.name} readOnly />
      <Password label={words.old} value={form.old} change={(old) => set({ ...form, old })} autocomplete="current-password" first />
      <Password label={words.fresh} value={form.fresh} change={(fresh) => set({ ...form, fresh })} autocomplete="new-password" hint={words.length} />
      <Password label={words.again} value={form.again} change={(again) => set({ ...form, again })} autocomplete="new-password" />
      <Refused text={fault || order.refused} />
    </Frame>
  );
}

function Me() {
  const words = t();
  const order = useOrder();
  const me = session.value;
  return (
    <Dialog title={me.display_name || me.name} mark={<Icon name="user" size={20} />} onClose={() => shutDoor()}
      foot={<><button type="button" onClick={() => openDoor("password")}><Icon name="key" />{words.change}</button><button type="button" data-first disabled={order.busy} onClick={() => void leave(order.give)}><Icon name="out" />{words.out}</button></>}>
      <dl class="facts">
        <dt>{words.name}</dt><dd>{me.name}</dd>
        <dt>{words.role}</dt><dd>{roleWord(me.role)}<br /><span class="dim small">{roleMeaning(me.role)}</span></dd>
        {me.expires_at && <><dt>{words.until}</dt><dd><Time at={me.expires_at} long /></dd></>}
      </dl>
      <div class="row wrap"><button type="button" onClick={test}><Icon name="sound" />{words.tone}</button>
      {me.role === "administrator" && <a class="button" href={href("people")} onClick={() => shutDoor()}><Icon name="people" />{words.people}</a>}</div>
      <Refused text={order.refused} />
    </Dialog>
  );
}

async function leave(give: (work: () => Promise<unknown>) => Promise<boolean>): Promise<void> {
  const gone = await give(async () => { await send("DELETE", "session"); });
  if (!gone) return;
  // Everything of that person leaves this page with them: what was on the screen, and what they might have typed.
  location.reload();
}

function faultOf(password: string, again: string): string {
  return [...password].length < 10 ? t().short : password !== again ? t().differ : "";
}

function Password({ label, value, change, autocomplete, hint = "", first = false }: {
  label: string; value: string; change: (next: string) => void; autocomplete: string; hint?: string; first?: boolean;
}) {
  const [shown, show] = useState(false);
  const id = useId();
  const words = t();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <span class="signin-password">
        <input id={id} {...(shown ? { type: "text" as const } : { type: "password" as const })} value={value} autocomplete={autocomplete} spellcheck={false} maxLength={256} required {...(hint ? { "aria-describedby": `${id}-hint` } : {})} {...(first ? { "data-first": true } : {})} onInput={(e) => change(e.currentTarget.value)} />
        <button type="button" class="quiet" aria-pressed={shown} onClick={() => show(!shown)}>{shown ? words.hide : words.show}</button>
      </span>
      {hint && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

/** A dialog where there is a page to go back to, else a page of its own. */
function Frame({ title, told, send: act, busy, onSubmit, more, children }: {
  title: string; told: string; send: string; busy: boolean; onSubmit: () => void; more?: ComponentChildren; children: ComponentChildren;
}) {
  const words = t();
  const press = <button type="submit" class="main" disabled={busy}>{act}</button>;
  const gate = useRef<HTMLFormElement>(null);
  // A dialog looks after its focus itself.
  useEffect(() => gate.current?.querySelector<HTMLElement>("[data-first]")?.focus(), [title]);
  if (mayLeave.value) {
    return (
      <Dialog title={title} onClose={() => shutDoor()} onSubmit={onSubmit}
        foot={<>{more}<button type="button" onClick={() => shutDoor()}>{session.value.must_change ? words.later : words.cancel}</button>{press}</>}>
        {told && <p class="dim">{told}</p>}
        {children}
      </Dialog>
    );
  }
  return (
    <div class="signin-gate">
      <main class="signin-card">
        <div class="signin-brand"><strong>{siteName.value || "Hazgate"}</strong>
          <button type="button" class="quiet" lang={lang.value === "zh" ? "en" : "zh-CN"} onClick={() => speak(lang.value === "zh" ? "en" : "zh")}>{lang.value === "zh" ? "English" : "中文"}</button>
        </div>
        <form ref={gate} class="stack" onSubmit={(e) => { e.preventDefault(); onSubmit(); }}>
          <h1>{title}</h1>
          {told && <p class="dim">{told}</p>}
          {children}
          {press}
          {more}
        </form>
      </main>
    </div>
  );
}
