import { useEffect, useState } from "preact/hooks";
import { link, siteName } from "../live/state";
import { FIRST, LATER, type Page } from "./pages";
import { route } from "./route";

/** The whole page: header, bars, and the page that the address names. */
export function App() {
  const { page, rest, query } = route.value;
  const Shown = usePage(page);
  return (
    <>
      <header>{siteName.value} {link.value}</header>
      <main>{Shown && <Shown rest={rest} query={query} />}</main>
    </>
  );
}

function usePage(name: string): Page | null {
  const [later, setLater] = useState<Record<string, Page>>({});
  const load = LATER[name];
  useEffect(() => {
    if (load && !later[name]) void load().then((found) => setLater((all) => ({ ...all, [name]: found.default })));
  }, [name]);
  return FIRST[name] ?? later[name] ?? (load ? null : FIRST["now"]!);
}
