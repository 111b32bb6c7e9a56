// What an engineer finds and looks at instruments with: ports, who answers, registers, how values are coded. Reads only.
import { useState } from "preact/hooks";
import { session } from "../../api";
import { may } from "../../parts/order";
import { href } from "../../app/route";
import { openDoor } from "../signin/door";
import { Ports, Scanning } from "./finding";
import { Guessing, Live } from "./registers";
import type { Place } from "./types";
import { t } from "./words";
import "./commissioning.css";

export default function Commissioning({ query }: { query: URLSearchParams }) {
  const words = t();
  const [endpoint, setEndpoint] = useState("");
  const [place, setPlace] = useState<Place>({ connection: query.get("connection") ?? "", endpoint: "", unit: Number(query.get("unit") ?? 1) || 1, baud: 9600, parity: "N", stop_bits: 1 });
  if (!may("engineer")) {
    return (
      <section class="page"><div class="page-head"><h1>{words.title}</h1></div>
        <div class="pane empty"><strong>{words.only}</strong>{!session.value.signed_in && <button type="button" class="main" onClick={() => openDoor()}>{words.signIn}</button>}</div>
      </section>
    );
  }
  const choose = (part: Partial<Place>): void => {
    setPlace({ ...place, ...part });
    document.getElementById("com-registers")?.scrollIntoView({ block: "start" });
  };
  return (
    <section class="page com-page">
      <div class="page-head"><h1>{words.title}</h1><span class="dim">{words.readOnly}</span></div>
      <div class="com-columns">
        <div class="stack com-stack">
          <Ports use={setEndpoint} />
          <Scanning endpoint={endpoint} setEndpoint={setEndpoint} choose={choose} />
        </div>
        <div class="stack com-stack" id="com-registers">
          <Live place={place} set={setPlace} />
          <Guessing place={place} set={setPlace} />
          <section class="pane" aria-label={words.bump}><header><h2>{words.bump}</h2></header><p class="com-none">{words.bumpTold} <a href={href("system")}>{words.instruments}</a></p></section>
        </div>
      </div>
    </section>
  );
}
