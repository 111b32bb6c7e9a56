// A part that is loaded when it is first shown.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Return a component that shows nothing, or an empty box of a class that keeps its place, until the one it stands for has been fetched. */
export function lazily<P extends object>(load: () => Promise<ComponentType<P>>, box = ""): ComponentType<P> {
  let found: ComponentType<P> | null = null;
  return function Later(props: P) {
    const [, set] = useState(0);
    useEffect(() => {
      let gone = false;
      if (!found) void load().then((part) => { found = part; if (!gone) set(1); }, () => undefined);
      return () => { gone = true; };
    }, []);
    const Shown = found;
    return Shown ? <Shown {...props} /> : box ? <div class={box} /> : null;
  };
}
