// The stream as messages; runs in the shared worker, or in the tab where there is none.

export type Kind = "snapshot" | "values" | "alarm" | "table" | "error";
export interface Message { kind: Kind; text: string }

const KINDS: readonly Kind[] = ["snapshot", "values", "alarm", "table"];
const RETRY_MS = 2000;

/** Follow a stream until the returned function is called; connects again by itself. */
export function follow(url: string, tell: (message: Message) => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const again = (): void => {
    source?.close();
    clearTimeout(timer);
    timer = setTimeout(open, RETRY_MS);
  };
  const open = (): void => {
    source = new EventSource(url, { withCredentials: true });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        tell({ kind, text: (event as MessageEvent<string>).data });
        if (kind === "table") again();
      });
    }
    source.onerror = () => {
      tell({ kind: "error", text: "" });
      again();
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
