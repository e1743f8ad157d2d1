// From a file or a video frame to pixels, or to a sentence that says why not.
import { rgb } from "./pixels.js";

/** What went wrong, for the person before the screen. */
export class Trouble extends Error {}

/** Longer side, in pixels, of what is searched; a larger picture is made smaller, for a phone's memory. */
export const LARGEST = 2048;
const LIVE = 640;
const MOST_PIXELS = 100e6;
const MOST_BYTES = 80e6;
const SMALLEST = 16;

export async function loadPicture(file) {
  if (!file.size) throw new Trouble(`“${file.name}” is empty.`);
  if (file.size > MOST_BYTES)
    throw new Trouble(`“${file.name}” is too large: at most ${MOST_BYTES / 1e6} MB.`);
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Trouble(
      `“${file.name}” cannot be read as a picture. It may be damaged, or of a kind this browser does not know.`,
    );
  });
  try {
    const original = [bitmap.width, bitmap.height];
    if (Math.min(...original) < SMALLEST)
      throw new Trouble(`“${file.name}” is too small: ${original.join(" × ")} pixels.`);
    if (original[0] * original[1] > MOST_PIXELS) {
      throw new Trouble(`“${file.name}” is too large: more than ${MOST_PIXELS / 1e6} megapixels.`);
    }
    return { pixels: drawn(bitmap, ...original, LARGEST), original };
  } finally {
    bitmap.close();
  }
}

/** The current frame, small enough to keep up with. */
export function frameOf(video, largest = LIVE) {
  return drawn(video, video.videoWidth, video.videoHeight, largest);
}

function drawn(source, width, height, largest) {
  const scale = Math.min(largest / Math.max(width, height), 1);
  const canvas = new OffscreenCanvas(
    Math.max(Math.round(width * scale), 1),
    Math.max(Math.round(height * scale), 1),
  );
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white"; // behind transparent parts
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return rgb(context.getImageData(0, 0, canvas.width, canvas.height));
}
