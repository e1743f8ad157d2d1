// Pictures as bytes, and the little arithmetic that BlazeFace's input and the crops need of them:
// `{width, height, channels, data}`, bytes row by row, `channels` a pixel.
export const blank = (width, height, channels) => ({
  width,
  height,
  channels,
  data: new Uint8ClampedArray(width * height * channels),
});

/** RGB of what a canvas holds. */
export function rgb(image) {
  const result = blank(image.width, image.height, 3);
  for (let from = 0, to = 0; to < result.data.length; from += 4, to += 3) {
    result.data[to] = image.data[from];
    result.data[to + 1] = image.data[from + 1];
    result.data[to + 2] = image.data[from + 2];
  }
  return result;
}

/** For a canvas. */
export function rgba(pixels) {
  const image = new ImageData(pixels.width, pixels.height);
  for (let from = 0, to = 0; to < image.data.length; from += pixels.channels, to += 4) {
    for (let k = 0; k < 3; k++) image.data[to + k] = pixels.data[from + (pixels.channels === 3 ? k : 0)];
    image.data[to + 3] = 255;
  }
  return image;
}

/** Rec. 601 luma, as OpenCV and training have it. */
export function grey(pixels) {
  const result = blank(pixels.width, pixels.height, 1);
  for (let i = 0; i < result.data.length; i++) {
    result.data[i] =
      0.299 * pixels.data[3 * i] + 0.587 * pixels.data[3 * i + 1] + 0.114 * pixels.data[3 * i + 2];
  }
  return result;
}

/** A rectangle of a picture, black where it reaches over the edge, made `width` x `height` by averaging areas
 *  (or, where it grows, by interpolation). */
export function resized(picture, [left, top, right, bottom], width, height) {
  const across = shares(left, right, width, picture.width);
  const down = shares(top, bottom, height, picture.height);
  const { channels } = picture;
  const result = blank(width, height, channels);
  const row = new Float64Array(width * channels);
  for (let y = 0; y < height; y++) {
    row.fill(0);
    for (const [sourceY, shareY] of down[y]) {
      const line = sourceY * picture.width;
      for (let x = 0; x < width; x++) {
        for (const [sourceX, shareX] of across[x]) {
          const at = (line + sourceX) * channels;
          for (let k = 0; k < channels; k++) row[x * channels + k] += shareX * shareY * picture.data[at + k];
        }
      }
    }
    result.data.set(row, y * width * channels);
  }
  return result;
}

/** For each of `count` new pixels over `from` ... `to`: which old ones it is made of, and with what share. */
function shares(from, to, count, limit) {
  const step = (to - from) / count;
  return Array.from({ length: count }, (_, i) => {
    const start = from + i * step;
    const parts = [];
    if (step >= 1) {
      for (let at = Math.floor(start); at < start + step - 1e-9; at++) {
        parts.push([at, (Math.min(at + 1, start + step) - Math.max(at, start)) / step]);
      }
    } else {
      const centre = start + step / 2 - 0.5;
      const low = Math.floor(centre);
      // Beyond the rectangle its edge goes on.
      const inside = (at) => Math.min(Math.max(at, Math.ceil(from)), Math.floor(to) - 1);
      parts.push([inside(low), 1 - (centre - low)], [inside(low + 1), centre - low]);
    }
    return parts.filter(([at, share]) => share > 0 && at >= 0 && at < limit);
  });
}
