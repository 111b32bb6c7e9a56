// Orders: one at a time, never a pretended success, and a refusal in plain words beside what was ordered.
import { useRef, useState } from "preact/hooks";
import { Refusal } from "../api";
import { lang, texts } from "../text";
import { asPerson } from "../pages/signin/door";

const t = texts({
  en: {
    lost: "No link to the gateway. Nothing was done; what you typed is still here.",
    signIn: "Sign in first. Nothing was done.",
    role: "Your role does not allow this. Nothing was done.",
    changed: "The situation has changed in the meantime. Nothing was done.",
    wait: (s: string) => `Too many attempts. Wait ${s} and try again.`,
    full: "This is too large for the gateway.",
    wrong: "Something in it is not understood. Nothing was done.",
    gone: "There is no such thing at this gateway (any more).",
    trouble: "The gateway could not do it.",
    seconds: (s: string) => `${s} s`,
    minutes: (m: string) => `${m} min`,
  },
  zh: {
    lost: "与网关断开，未执行；已填写的内容仍保留。",
    signIn: "请先登录，未执行。",
    role: "您的权限不足，未执行。",
    changed: "情况已发生变化，未执行。",
    wait: (s: string) => `尝试次数过多，请等待 ${s}后再试。`,
    full: "内容过大，网关无法接收。",
    wrong: "内容有误，未执行。",
    gone: "网关中没有（或已不存在）此项。",
    trouble: "网关未能完成此操作。",
    seconds: (s: string) => `${s} 秒`,
    minutes: (m: string) => `${m} 分钟`,
  },
});

/** Say in plain words why the gateway refused. */
export function inWords(refusal: Refusal): string {
  const say = t();
  switch (refusal.status) {
    case 0: return say.lost;
    case 401: return say.signIn;
    case 403: return say.role;
    case 404: return say.gone;
    case 409: return say.changed;
    case 413: return say.full;
    case 422: return say.wrong;
    case 429: return say.wait(refusal.waitS > 120 ? say.minutes(String(Math.ceil(refusal.waitS / 60))) : say.seconds(String(refusal.waitS || 1)));
    default: return say.trouble;
  }
}

export interface Ordering {
  busy: boolean;
  refusal: Refusal | null;
  forget: () => void;
  /** Carry out an order; true only where the gateway has done it. Signs in first where that is all that is missing. */
  run: (order: () => Promise<unknown>) => Promise<boolean>;
}

export function useOrder(): Ordering {
  const [state, setState] = useState<{ busy: boolean; refusal: Refusal | null }>({ busy: false, refusal: null });
  const running = useRef(false);
  const run = async (order: () => Promise<unknown>): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setState({ busy: true, refusal: null });
    try {
      await asPerson(order);
      setState({ busy: false, refusal: null });
      return true;
    } catch (error) {
      setState({ busy: false, refusal: error instanceof Refusal ? error : new Refusal(-1, String(error)) });
      return false;
    } finally {
      running.current = false;
    }
  };
  return { ...state, run, forget: () => setState({ busy: false, refusal: null }) };
}

/** The refusal of an order, beside it; the gateway's own words below ours. */
export function Refused({ refusal }: { refusal: Refusal | null }) {
  if (!refusal) return null;
  const own = refusal.message && refusal.status !== 0 ? refusal.message : "";
  return (
    <p class="refused" role="alert">
      {inWords(refusal)}
      {own && <small lang={lang.value === "zh" ? "en" : undefined}>{own}</small>}
    </p>
  );
}
