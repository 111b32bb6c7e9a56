import "./look/tokens.css";
import "./look/base.css";
import "./app/look";
import { render } from "preact";
import { lookWho } from "./api";
import { App } from "./app/app";
import { listen } from "./app/sound";
import { connect } from "./live/stream";
import { lang, speak } from "./text";

speak(lang.value);
listen();
render(<App />, document.getElementById("app")!);
void lookWho().catch(() => undefined).then(connect);
