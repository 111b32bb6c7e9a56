// The dialogs of the people page: an account or its new password, a token, and the token shown once.
import { useEffect, useRef, useState } from "preact/hooks";
import { part, post, send } from "../../api";
import type { Role } from "../../live/types";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icon";
import { Refused, useOrder } from "../../parts/order";
import { toast } from "../../parts/toast";
import { roleMeaning, roleWord } from "../signin/signin";
import { ROLES, type Account, type Token } from "./types";
import { t } from "./words";

/** Letters and digits that nobody mistakes for one another, on the telephone or on paper. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789";

function suggestion(): string {
  const random = crypto.getRandomValues(new Uint32Array(16));
  const letters = [...random].map((n) => LETTERS[n % LETTERS.length]);
  return [0, 4, 8, 12].map((k) => letters.slice(k, k + 4).join("")).join("-");
}

/** A new account, or with `of` another password for one. */
export function AccountForm({ of, shut }: { of?: Account; shut: () => void }) {
  const words = t();
  const order = useOrder();
  const [form, set] = useState({ name: "", display_name: "", role: "operator" as Role, password: suggestion() });
  const save = async (): Promise<void> => {
    const done = await order.give(() => (of ? send("PATCH", `accounts/${part(of.name)}`, { password: form.password }) : post("accounts", form)));
    if (done) { toast(of ? words.saved : words.added(form.display_name || form.name)); shut(); }
  };
  return (
    <Dialog title={of ? `${words.reset} · ${of.display_name || of.name}` : words.add} onClose={shut} onSubmit={() => void save()}
      foot={<><button type="button" onClick={shut}>{words.cancel}</button><button type="submit" class="main" disabled={order.busy}>{of ? words.save : words.make}</button></>}>
      {!of && (
        <>
          <div class="people-two">
            <label class="field"><span>{words.name}</span><input value={form.name} maxLength={64} required autocomplete="off" autocapitalize="none" spellcheck={false} data-first onInput={(e) => set({ ...form, name: e.currentTarget.value })} /></label>
            <label class="field"><span>{words.display}</span><input value={form.display_name} maxLength={64} autocomplete="off" onInput={(e) => set({ ...form, display_name: e.currentTarget.value })} /></label>
          </div>
          <RoleChoice role={form.role} choose={(role) => set({ ...form, role })} among={ROLES} />
        </>
      )}
      <label class="field"><span>{of ? words.newPassword : words.password}</span>
        <span class="row"><input class="grow mono" value={form.password} maxLength={256} minLength={10} required autocomplete="off" spellcheck={false} onInput={(e) => set({ ...form, password: e.currentTarget.value })} /><button type="button" onClick={() => set({ ...form, password: suggestion() })}>{words.suggest}</button></span>
        <small>{words.passwordTold}</small></label>
      <Refused text={order.refused} />
    </Dialog>
  );
}

export function TokenForm({ shut, made }: { shut: () => void; made: (token: Token) => void }) {
  const words = t();
  const order = useOrder();
  const [form, set] = useState({ name: "", role: "viewer" as Role });
  const make = async (): Promise<void> => {
    let token: Token | null = null;
    if (await order.give(async () => { token = await post<Token>("tokens", form); })) made(token!);
  };
  return (
    <Dialog title={words.addToken} onClose={shut} onSubmit={() => void make()} foot={<><button type="button" onClick={shut}>{words.cancel}</button><button type="submit" class="main" disabled={order.busy}>{words.make}</button></>}>
      <label class="field"><span>{words.name}</span><input value={form.name} maxLength={64} required autocomplete="off" autocapitalize="none" spellcheck={false} data-first onInput={(e) => set({ ...form, name: e.currentTarget.value })} /></label>
      <RoleChoice role={form.role} choose={(role) => set({ ...form, role })} among={ROLES.slice(0, 3)} />
      <Refused text={order.refused} />
    </Dialog>
  );
}

function RoleChoice({ role, choose, among }: { role: Role; choose: (role: Role) => void; among: readonly Role[] }) {
  return (
    <fieldset class="field people-choices"><legend>{t().role}</legend>
      {among.map((each) => <label key={each} class="people-choice"><input type="radio" name="role" checked={role === each} onChange={() => choose(each)} /><span><b>{roleWord(each)}</b><span class="dim small">{roleMeaning(each)}</span></span></label>)}
    </fieldset>
  );
}

/** The token, this once. On plain http a page has no clipboard: then the text is marked, and the keyboard copies it. */
export function Made({ token, shut }: { token: Token; shut: () => void }) {
  const words = t();
  const [told, tell] = useState("");
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.select(), []);
  const copy = async (): Promise<void> => {
    box.current?.focus();
    box.current?.select();
    try {
      await navigator.clipboard.writeText(token.token ?? "");
      tell(words.copied);
    } catch {
      tell(document.execCommand("copy") ? words.copied : words.copyHand);
    }
  };
  return (
    <Dialog title={`${words.once} · ${token.name}`} mark={<Icon name="key" size={20} />} onClose={shut} foot={<button type="button" class="main" onClick={shut}>{words.kept}</button>}>
      <p>{words.onceTold}</p>
      <div class="row"><input ref={box} class="grow mono" readOnly value={token.token} data-first aria-label={words.once} onFocus={(e) => e.currentTarget.select()} /><button type="button" onClick={() => void copy()}>{words.copy}</button></div>
      <p class="dim" role="status">{told}</p>
    </Dialog>
  );
}
