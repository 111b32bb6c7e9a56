// Orders: what was typed is kept, a refusal stands beside what was ordered, and nothing is done before the gateway says so.
import { useRef, useState } from "preact/hooks";
import { caller, link } from "../live/state";
import type { Role } from "../live/types";
import { Refusal } from "../api";
import { texts } from "../text";
import { asPerson } from "../pages/signin/door";
import { Icon } from "./icon";
import { spoken } from "./time";

const words = texts({
  en: {
    lost: "No link to the gateway: nothing was ordered.", signin: "Sign in to do this.", role: (detail: string) => `Your role does not allow this. ${detail}`,
    often: (wait: string) => `Too many attempts. Wait ${wait} and try again.`, changed: (detail: string) => `It has changed meanwhile. ${detail}`, large: "Too large.",
  },
  zh: {
    lost: "与网关断开：指令未执行。", signin: "请先登录。", role: (detail: string) => `您的角色无此权限。${detail}`,
    often: (wait: string) => `尝试次数过多，请等待${wait}后再试。`, changed: (detail: string) => `状态已改变。${detail}`, large: "内容过大。",
  },
});

/** Return why something was refused, for the person who ordered it. */
export function reason(error: unknown): string {
  const t = words();
  if (!(error instanceof Refusal)) return String(error);
  switch (error.status) {
    case 0: return t.lost;
    case 401: return t.signin;
    case 403: return t.role(error.message);
    case 409: return t.changed(error.message);
    case 413: return t.large;
    case 429: return t.often(spoken((error.waitS || 1) * 1000));
    default: return error.message;
  }
}

export interface Ordering { busy: boolean; refused: string; give: (work: () => Promise<unknown>) => Promise<boolean>; forget: () => void }

/** Give orders one at a time; `give` says whether it was done, and signs in first where a person is all that is missing. A second press while one is on its way does nothing. */
export function useOrder(): Ordering {
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState("");
  const running = useRef(false);
  const give = async (work: () => Promise<unknown>): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setRefused("");
    try {
      await asPerson(work);
      return true;
    } catch (error) {
      setRefused(reason(error));
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { busy, refused, give, forget: () => setRefused("") };
}

/** The refusal, where it can be read by everybody. */
export function Refused({ text }: { text: string }) {
  return <div role="alert">{text && <div class="refused"><Icon name="alert" size={16} />{text}</div>}</div>;
}

const RANKS: readonly Role[] = ["nobody", "viewer", "operator", "engineer", "administrator"];
/** Whether who has signed in here may do what needs a role. The gateway decides; this only spares a useless button. */
export const may = (role: Role): boolean => RANKS.indexOf(caller.value.role) >= RANKS.indexOf(role);
/** Whether an order can reach the gateway at all. */
export const canOrder = (): boolean => link.value === "live" || link.value === "stale";
