// The second annunciator (a sounder at the plant is the first): the loudest unsilenced level, again and again.
import { computed, effect, signal } from "@preact/signals";
import { alarms, isUnacked, link, onEvent, tick } from "../live/state";
import type { Alarm } from "../live/types";

/** Tones in Hz of each priority, and after how many seconds they begin again. */
const PATTERNS: Record<number, { tones: number[]; every: number }> = {
  1: { tones: [960, 770, 960, 770], every: 1.5 },
  2: { tones: [770, 770], every: 3 },
  3: { tones: [620], every: 10 },
};
const TONE_S = 0.16;
const STEP_S = 0.2;
const LOW_HZ = 180;
const SOLE_MS = 2500;

/** Whether an alarm sounds: nobody has acknowledged or silenced it. A warning never sounds. */
export const sounds = (alarm: Alarm): boolean => isUnacked(alarm) && !alarm.silenced && alarm.sounded > 0 && alarm.level !== "warning";
/** The priority that is to be heard, 0 for none. */
export const loudest = computed(() => alarms.value.reduce((least, alarm) => (sounds(alarm) && alarm.priority < least ? alarm.priority : least), 9) % 9);
/** This browser makes no sound until somebody presses something; `off` is what a person chose here, until the page is loaded anew. */
export const sound = signal<"blocked" | "on" | "off">("blocked");
/** The tone of a lost link was silenced here; nobody else can. */
export const hushed = signal(false);
export const offline = computed(() => link.value === "lost");

let context: AudioContext | null = null;
let due = 0;
let played = 0;
let low: OscillatorNode | null = null;
let sole = 0;

function beep(at: number, hertz: number, length = TONE_S, strength = 0.22): void {
  if (!context) return;
  const tone = context.createOscillator();
  const gain = context.createGain();
  tone.type = "square";
  tone.frequency.value = hertz;
  // Edges of a few milliseconds: a tone that begins at once cracks.
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(strength, at + 0.008);
  gain.gain.setValueAtTime(strength, at + length - 0.02);
  gain.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(gain).connect(context.destination);
  tone.start(at);
  tone.stop(at + length);
}

function play(priority: number): void {
  const pattern = PATTERNS[priority];
  if (!context || !pattern) return;
  pattern.tones.forEach((hertz, k) => beep(context!.currentTime + 0.02 + k * STEP_S, hertz));
  played = performance.now();
  due = played + pattern.every * 1000;
}

/** Let every level be heard once; for who signs in, and for the System page. */
export function test(): void {
  void wake().then(() => { if (context) [3, 2, 1].forEach((p, k) => PATTERNS[p]!.tones.forEach((hertz, n) => beep(context!.currentTime + k * 0.9 + n * STEP_S, hertz, TONE_S, 0.12))); });
}

/** Make sound possible; browsers allow it only after somebody has pressed something. */
export async function wake(): Promise<void> {
  context ??= new AudioContext();
  if (context.state !== "running") await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 300))]);
  if (sound.value !== "off") sound.value = context.state === "running" ? "on" : "blocked";
}

export function turn(): void {
  if (sound.value === "on") sound.value = "off";
  else { if (sound.value === "off") sound.value = "on"; void wake(); }
}

// Of all tabs of a browser one sounds, or the operator hears a choir. Who hears another tab sound is quiet for a while.
const mine = Math.random();
const me = (): number => mine + (document.hidden ? 1 : 0);
const others = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("hazgate-sound");
if (others) others.onmessage = ({ data }: MessageEvent<number>) => { if (data < me()) sole = performance.now() + SOLE_MS; };

function step(): void {
  // A telephone call or a changed loudspeaker stops the sound without a word; whoever relies on it has to see that.
  if (sound.peek() === "on" && context && context.state !== "running") { sound.value = "blocked"; void wake(); }
  if (sound.value !== "on" || !context) return stopLow();
  others?.postMessage(me());
  if (performance.now() < sole) return stopLow();
  if (offline.value && !hushed.value) return startLow();
  stopLow();
  if (!offline.value && loudest.value && performance.now() >= due) play(loudest.value);
}

function startLow(): void {
  if (low || !context) return;
  const gain = context.createGain();
  gain.gain.value = 0.07;
  low = context.createOscillator();
  low.type = "triangle";
  low.frequency.value = LOW_HZ;
  low.connect(gain).connect(context.destination);
  low.start();
}

function stopLow(): void {
  low?.stop();
  low = null;
}

/** Begin: called once by the page. */
export function listen(): void {
  let before = 0;
  // A new level is heard at once, and not when the pause of the last one is over.
  effect(() => { const level = loudest.value; if (level && (!before || level < before)) due = 0; before = level; step(); });
  // Another alarm of the same level is heard as soon as the tones before have ended.
  onEvent((event) => { if (event.annunciate) due = Math.min(due, played + 1000); });
  effect(() => { if (!offline.value) hushed.value = false; });
  setInterval(step, 250);
  // Browsers let the timers of a hidden tab run once a minute; what the gateway says comes every second all the same.
  tick.subscribe(step);
  const press = (): void => { void wake(); };
  addEventListener("pointerdown", press, { passive: true });
  addEventListener("keydown", press, { passive: true });
  void wake();
}
