// Connects this tab to the live stream and hands what comes to the state.
import { locked, lookWho } from "../api";
import { follow, type Message } from "./source";
import { take } from "./state";

let leave: (() => void) | null = null;
let heard = 0;
/** A worker says something every second, or every twelve that it is trying; one that says nothing at all is gone. */
const DEAD_MS = 20_000;

function hear(message: Message): void {
  heard = performance.now();
  take(message);
  // A stream that ends does not say why: the link may be down, or nobody has signed in any more.
  if (message.kind === "error" && !locked.value) void lookWho().catch(() => undefined);
}

/** Begin to follow, or begin anew: after signing in, another person's rights count. */
export function connect(): void {
  leave?.();
  heard = performance.now();
  const url = new URL("api/v1/stream", document.baseURI).href;
  if (typeof SharedWorker === "undefined") {
    leave = follow(url, hear);
    return;
  }
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "hazgate" });
  worker.port.onmessage = ({ data }: MessageEvent<Message>) => hear(data);
  worker.port.postMessage(url);
  const bye = (): void => worker.port.postMessage("");
  addEventListener("pagehide", bye);
  leave = () => { removeEventListener("pagehide", bye); bye(); worker.port.close(); };
}

// A worker that crashed tells nobody, and a page that a browser took out of its cache has left it.
setInterval(() => { if (leave && performance.now() - heard > DEAD_MS) connect(); }, 5000);
