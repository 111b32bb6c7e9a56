import { useRef, useState } from "preact/hooks";
import { t } from "./words";

/** Lines for the site file. On plain http a page has no clipboard: then they are marked, and the keyboard copies. */
export function Snippet({ yaml }: { yaml: string }) {
  const words = t();
  const [told, tell] = useState("");
  const box = useRef<HTMLPreElement>(null);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(yaml);
      tell(words.copied);
    } catch {
      getSelection()?.selectAllChildren(box.current!);
      tell(document.execCommand("copy") ? words.copied : words.marked);
    }
  };
  return (
    <div class="com-snippet">
      <div class="row"><h3 class="grow">{words.snippet}</h3><span class="dim" role="status">{told}</span><button type="button" onClick={() => void copy()}>{words.copy}</button></div>
      <pre ref={box} class="mono" tabIndex={0}>{yaml}</pre>
      <p class="dim small">{words.reload}</p>
    </div>
  );
}
