// Which key does what.
import { Dialog } from "../parts/dialog";
import { texts } from "../text";
import { helping } from "./asking";

const words = texts({
  en: {
    title: "Keyboard", next: "next / previous alarm", mark: "mark", ack: "acknowledge", ackAll: "acknowledge the marked ones", reset: "reset", shelve: "shelve", silence: "silence",
    unacked: "next unacknowledged", go: "go to Now, Channels, Journal, Handover, System, wall", filter: "filter", leave: "close, take marks away", open: "open the point's page", help: "this page",
  },
  zh: {
    title: "键盘", next: "下一条 / 上一条报警", mark: "勾选", ack: "确认", ackAll: "确认已勾选", reset: "复位", shelve: "搁置", silence: "消音",
    unacked: "下一条未确认", go: "转到 值守、测点、日志、交接班、系统、大屏", filter: "筛选", leave: "关闭，取消勾选", open: "打开测点页", help: "本页",
  },
});

export default function Help() {
  const t = words();
  const rows: [string[], string][] = [
    [["J", "↓", "K", "↑"], t.next], [["N"], t.unacked], [["X"], t.mark], [["A"], t.ack], [["⇧ A"], t.ackAll], [["R"], t.reset], [["S"], t.shelve], [["M"], t.silence],
    [["O"], t.open], [["G", "N C J H S W"], t.go], [["/"], t.filter], [["Esc"], t.leave], [["?"], t.help],
  ];
  return (
    <Dialog title={t.title} onClose={() => { helping.value = false; }}>
      <dl class="shell-help">{rows.map(([keys, text]) => <><dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt><dd>{text}</dd></>)}</dl>
    </Dialog>
  );
}
