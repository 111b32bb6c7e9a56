// The stream as messages; runs in the shared worker, or in the tab where there is none.

export type Kind = "snapshot" | "values" | "alarm" | "table" | "error";
export interface Message { kind: Kind; text: string }

const KINDS: readonly Kind[] = ["snapshot", "values", "alarm", "table"];
const RETRY_MS = 2000;
/** The gateway says something every second. A line that is cut without a word would else be waited at for minutes. */
const SILENCE_MS = 10_000;

/** Follow a stream until the returned function is called; connects again by itself. */
export function follow(url: string, tell: (message: Message) => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const again = (): void => {
    source?.close();
    clearTimeout(timer);
    timer = setTimeout(open, RETRY_MS);
  };
  const lose = (): void => {
    tell({ kind: "error", text: "" });
    again();
  };
  const listen = (): void => {
    clearTimeout(timer);
    timer = setTimeout(lose, SILENCE_MS);
  };
  const open = (): void => {
    source = new EventSource(url, { withCredentials: true });
    listen();
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        tell({ kind, text: (event as MessageEvent<string>).data });
        if (kind === "table") again();
        else listen();
      });
    }
    source.onerror = lose;
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
