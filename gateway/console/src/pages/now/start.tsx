// A gateway without instruments: what to do first.
import { texts } from "../../text";

const words = texts({
  en: { start: "No instruments yet", start1: "See what is plugged in", start2: "Find the instruments on a line", start3: "Write the site file and check it", start4: "Then start the gateway with it." },
  zh: { start: "尚无仪表", start1: "查看已插接的串口", start2: "查找线路上的仪表", start3: "编写并检查站点文件", start4: "然后用它启动网关。" },
});

export function Start() {
  const t = words();
  const steps: [string, string][] = [[t.start1, "hazgate ports"], [t.start2, "hazgate scan /dev/ttyUSB0"], [t.start3, "hazgate check site.yaml --live"]];
  return (
    <div class="empty">
      <strong>{t.start}</strong>
      <ol class="now-start">{steps.map(([text, command]) => <li key={command}>{text}<code>{command}</code></li>)}</ol>
      {t.start4}
    </div>
  );
}
