// Questions and orders to the gateway.
import { signal } from "@preact/signals";
import type { Session } from "./live/types";
import { either } from "./text";

export const NOBODY: Session = {
  signed_in: false, name: "", display_name: "", role: "nobody", csrf: "", expires_at: null, must_change: false,
  setup: false, read: "signed-in",
};
/** Who has signed in at this browser. */
export const session = signal<Session>(NOBODY);
/** What the gateway refuses until somebody signs in. */
export const locked = signal(false);

/** A refusal by the gateway, or a link that is down (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number, detail: string, readonly body: Record<string, unknown> = {}, readonly waitS: number = 0,
  ) {
    super(detail);
  }
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined || method !== "GET") headers["Content-Type"] = "application/json";
  if (method !== "GET" && session.value.csrf) headers["X-CSRF-Token"] = session.value.csrf;
  let response: Response;
  try {
    response = await fetch(`api/v1/${path}`, {
      method, headers, credentials: "same-origin", cache: "no-store",
      ...(method === "GET" ? {} : { body: JSON.stringify(body ?? {}) }),
    });
  } catch {
    throw new Refusal(0, "");
  }
  // A wrong password locks nothing, and where anyone may read, a page for engineers does not lock the others.
  if (response.status === 401 && path !== "session" && path !== "setup") void lookWho().catch(() => undefined);
  const json = response.headers.get("content-type")?.includes("json") ? await response.json() : {};
  if (!response.ok) {
    throw new Refusal(response.status, either(String(json.detail ?? response.statusText), json.detail_zh), json, Number(response.headers.get("retry-after")) || 0);
  }
  return json as T;
}

export const get = <T>(path: string): Promise<T> => ask<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => ask<T>("POST", path, body);
export const send = <T>(method: "PUT" | "PATCH" | "DELETE", path: string, body: unknown = {}): Promise<T> => ask<T>(method, path, body);

/** Escape an id (which may hold `/` and `#`) as one part of an address; slashes of system alarms stay. */
export const part = (id: string): string => encodeURIComponent(id).replaceAll("%2F", "/");

/** Ask who has signed in; a gateway without accounts answers 404, which means nobody has to. */
export async function lookWho(): Promise<void> {
  try {
    session.value = await get<Session>("session");
    locked.value = session.value.role === "nobody";
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 404) throw error;
  }
}
