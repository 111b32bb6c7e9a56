// One stream for all tabs of a browser: a seventh connection of its own would wait silently for ever.
/// <reference lib="webworker" />
import { follow } from "./source";

declare const self: SharedWorkerGlobalScope;

const ports = new Set<MessagePort>();
let stop: (() => void) | null = null;

self.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  ports.add(port);
  // A tab says the stream's address to begin anew (each tab that opens needs a fresh snapshot), or nothing to leave.
  port.onmessage = ({ data }: MessageEvent<string>) => {
    if (!data) ports.delete(port);
    if (data || !ports.size) { stop?.(); stop = null; }
    if (data) stop = follow(data, (message) => ports.forEach((each) => each.postMessage(message)));
  };
  port.start();
};
