// A picture small enough to be sent over a thin link: scaled down and made coarser until it fits.

const SIDES = [1280, 1024, 800, 640, 480];
const GRADES = [0.8, 0.65, 0.5, 0.35];
/** Bytes of the picture itself; as text in a request it is a third longer, and a request may have 64 KiB. */
export const PHOTO_MAX = 44 * 1024;

/** What is sent, and what is shown of it: an image at a data address is what this page's own rules forbid. */
export interface Photo { data: string; canvas: HTMLCanvasElement }

/** Return a JPEG of at most `PHOTO_MAX` bytes, or null where that cannot be done. */
export async function shrunk(file: Blob): Promise<Photo | null> {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  const canvas = document.createElement("canvas");
  for (const side of SIDES) {
    const scale = Math.min(1, side / Math.max(picture.width, picture.height));
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d")!.drawImage(picture, 0, 0, canvas.width, canvas.height);
    for (const grade of GRADES) {
      const made = canvas.toDataURL("image/jpeg", grade);
      if ((made.length - made.indexOf(",")) * 0.75 <= PHOTO_MAX) return { data: made, canvas };
    }
  }
  return null;
}
