// Line icons on a 24-unit grid, drawn here: a control room has no internet to load them from.
const PATHS = {
  check: "M5 12.5l4.5 4.5L19 7.5", close: "M6 6l12 12M18 6 6 18", 
  down: "M6 9l6 6 6-6", up: "M6 15l6-6 6 6", left: "M15 6l-6 6 6 6", right: "M9 6l6 6-6 6",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11",
  mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5m0-5-5 5",
  
  quiet: "M6 16.5V11a6 6 0 0 1 9.5-4.9M18 11v5.5l1.5 1.5h-13M10 20.5a2 2 0 0 0 4 0M4 4l16 16",
  user: "M12 12a4 4 0 1 0-.01 0zM4.5 20.5a7.5 7.5 0 0 1 15 0", search: "M11 18a7 7 0 1 0-.01 0zM16 16l4.5 4.5",
  alert: "M12 8v5m0 3.5v.01M12 2.5 22.5 21h-21z", info: "M12 21.5a9.5 9.5 0 1 0-.01 0zM12 11v6m0-9.5v.01",
  clock: "M12 21.5a9.5 9.5 0 1 0-.01 0zM12 7v5.5l3.5 2", phone: "M6 3h3.5l1.5 5-2.2 1.6a12 12 0 0 0 5.6 5.6L16 13l5 1.5V18a3 3 0 0 1-3 3A15 15 0 0 1 3 6a3 3 0 0 1 3-3z",
  now: "M4 13.5a8 8 0 0 1 16 0M12 13.5l4-4.5M3 18.5h18", list: "M8.5 6H20M8.5 12H20M8.5 18H20M4 6h.01M4 12h.01M4 18h.01",
  journal: "M6 3.5h11a1.5 1.5 0 0 1 1.5 1.5v15.5H7A2.5 2.5 0 0 1 4.5 18V5A1.5 1.5 0 0 1 6 3.5zM9 8h5.5M9 12h5.5",
  shift: "M4 8h13l-3.5-3.5M20 16H7l3.5 3.5", system: "M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01",
  tools: "M16.8 4.2a5 5 0 0 0-6.4 6.2l-6 6a2.2 2.2 0 0 0 3.2 3.2l6-6a5 5 0 0 0 6.2-6.4l-3 3-2.6-.6-.6-2.6z",
  people: "M9 11a3.5 3.5 0 1 0-.01 0zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14a6.5 6.5 0 0 1 3.5 6",
  chart: "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6", map: "M3.5 6.5 9 4l6 2.5L20.5 4v13.5L15 20l-6-2.5L3.5 20zM9 4v13.5M15 6.5V20",
  help: "M12 21.5a9.5 9.5 0 1 0-.01 0zM9.2 9.5a2.9 2.9 0 1 1 4.3 2.5c-1 .6-1.5 1-1.5 2m0 3v.01",
  sun: "M12 16.5a4.5 4.5 0 1 0-.01 0zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.3 17.3 19 19M5 19l1.7-1.7M17.3 6.7 19 5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z", globe: "M12 21.5a9.5 9.5 0 1 0-.01 0zM2.5 12h19M12 2.5c5.5 5.5 5.5 13.5 0 19c-5.5-5.5-5.5-13.5 0-19z",
  link: "M5 12.5a10 10 0 0 1 14 0M8 15.5a6 6 0 0 1 8 0M12 19v.01", cut: "M5 12.5a10 10 0 0 1 5-2.7M14 9.8a10 10 0 0 1 5 2.7M12 19v.01M4 4l16 16",
  
  wall: "M3 4.5h18v12H3zM8 20h8", plus: "M12 5v14M5 12h14", minus: "M5 12h14", download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 20h14", print: "M7 8V3.5h10V8M7 17H4V8h16v9h-3M7 14h10v6.5H7z",
  out: "M14 4H5v16h9M10 12h10.5m-4-4 4 4-4 4", key: "M8 18a4 4 0 1 1 3.5-6H21v3.5h-3V12", 
} as const;
export type IconName = keyof typeof PATHS;

/** An icon beside words: it says nothing to a screen reader. */
export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}
