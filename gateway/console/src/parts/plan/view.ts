// How a drawing lies in its window: fitted, zoomed, moved.
export interface View { zoom: number; x: number; y: number }
export interface Size { width: number; height: number }

export const WHOLE: View = { zoom: 1, x: 0, y: 0 };
const ZOOM_MAX = 16;

/** Size of a drawing in px that just fits into a window. */
export function fitted(box: Size, shape: Size, rim = 12): Size {
  const scale = Math.min((box.width - 2 * rim) / shape.width, (box.height - 2 * rim) / shape.height);
  return { width: Math.max(1, shape.width * scale), height: Math.max(1, shape.height * scale) };
}

/** Where the drawing's upper left corner is, in px of the window. */
export function corner(box: Size, sheet: Size, view: View): { left: number; top: number } {
  return { left: (box.width - sheet.width * view.zoom) / 2 + view.x, top: (box.height - sheet.height * view.zoom) / 2 + view.y };
}

/** Keep the middle of the window over the drawing. */
export function held(sheet: Size, view: View): View {
  const zoom = Math.min(ZOOM_MAX, Math.max(1, view.zoom));
  const within = (v: number, limit: number): number => Math.min(limit, Math.max(-limit, v));
  return zoom === 1 ? WHOLE : { zoom, x: within(view.x, (sheet.width * zoom) / 2), y: within(view.y, (sheet.height * zoom) / 2) };
}

/** Zoom by a factor so that what lies under a place of the window stays there. */
export function zoomed(box: Size, sheet: Size, view: View, factor: number, at: { x: number; y: number }): View {
  const zoom = Math.min(ZOOM_MAX, Math.max(1, view.zoom * factor));
  const by = zoom / view.zoom;
  const dx = at.x - box.width / 2, dy = at.y - box.height / 2;
  return held(sheet, { zoom, x: dx - (dx - view.x) * by, y: dy - (dy - view.y) * by });
}

/** A place of the window as shares of the drawing, 0 to 1. */
export function shareOf(box: Size, sheet: Size, view: View, at: { x: number; y: number }): { x: number; y: number } {
  const { left, top } = corner(box, sheet, view);
  const clip = (v: number): number => Math.round(Math.min(1, Math.max(0, v)) * 10_000) / 10_000;
  return { x: clip((at.x - left) / (sheet.width * view.zoom)), y: clip((at.y - top) / (sheet.height * view.zoom)) };
}
