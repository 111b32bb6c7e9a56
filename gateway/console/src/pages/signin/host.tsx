import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { door } from "./door";

/** Stands in the app once, over all pages; loads the dialog when somebody is first at the door. */
export function DoorHost() {
  const [Shown, setShown] = useState<ComponentType | null>(null);
  const open = door.value !== "closed";
  useEffect(() => {
    if (open && !Shown) void import("./signin").then((found) => setShown(() => found.SignIn));
  }, [open]);
  return open && Shown ? <Shown /> : null;
}
