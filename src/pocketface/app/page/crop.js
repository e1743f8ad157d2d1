// From a face's points to what a model sees, as training cut it: dlib's chip, then the model's window of it.
// In Python: benchmarks/finder.py, pocketface.cropping.geometry and pocketface.faces.view.
// A place is where dlib's mean face lies: its centre, and `size`, a vector one mean face wide that points right along
// it; both complex numbers, as are an alignment's weights of eye, eye, nose and mouth.
import { blank, grey } from "./pixels.js";

export function placeOf(points, alignment) {
  const sum = (weights) =>
    weights.reduce(
      ([re, im], [a, b], k) => [
        re + a * points[k][0] - b * points[k][1],
        im + a * points[k][1] + b * points[k][0],
      ],
      [0, 0],
    );
  return { size: sum(alignment.size), centre: sum(alignment.centre) };
}

/** What a variant's model sees of a face: bytes [size, size, channels]. */
export function seenBy({ cut, view }, picture, place) {
  const chip = chipOf(picture, place, cut.size, cut.margin);
  return viewOf(cut.grey || view.channels === 1 ? grey(chip) : chip, view.window, view.size);
}

/** dlib's `extract_image_chip`: out of the level of a pyramid that is just finer than the chip, by bilinear
 *  interpolation; black outside. Its levels drift by half a pixel each, right and up, and so do these. */
export function chipOf(picture, { size, centre }, side, margin) {
  const width = Math.hypot(...size) * (1 + 2 * margin);
  const levels = Math.max(Math.ceil(Math.log2(width / side)) - 1, 0);
  const reach = width; // enough for a turned square and the filters' borders
  let [level, left, top] = part(picture, centre[0] - reach, centre[1] - reach, 2 * reach);
  // dlib counts from the centre of the first pixel.
  let [x, y] = [centre[0] - 0.5 - left, centre[1] - 0.5 - top];
  let step = (width - 1) / (side - 1);
  for (let i = 0; i < levels; i++) {
    level = halved(level);
    [x, y, step] = [(x - 1) / 2, y / 2, step / 2];
  }
  const length = Math.hypot(...size);
  const [right, down] = [(size[0] / length) * step, (size[1] / length) * step];
  const chip = blank(side, side, 3);
  for (let row = 0, to = 0; row < side; row++) {
    const v = row - (side - 1) / 2;
    for (let column = 0; column < side; column++, to += 3) {
      const u = column - (side - 1) / 2;
      between(level, x + u * right - v * down, y + u * down + v * right, chip.data, to);
    }
  }
  return chip;
}

/** A model's window of a chip: smoothed as much as it gets smaller, then interpolated; edges go on. */
export function viewOf(chip, [left, top, share], side) {
  const step = (share * chip.width) / side;
  const smooth = step > 1 ? blurred(chip, 0.5 * Math.sqrt(step * step - 1)) : chip;
  const view = blank(side, side, chip.channels);
  const last = chip.width - 1;
  const clamp = (at) => Math.min(Math.max(at, 0), last);
  for (let row = 0, to = 0; row < side; row++) {
    const y = clamp(top * chip.height + (row + 0.5) * step - 0.5);
    for (let column = 0; column < side; column++, to += chip.channels) {
      between(smooth, clamp(left * chip.width + (column + 0.5) * step - 0.5), y, view.data, to);
    }
  }
  return view;
}

/** Bilinear interpolation at (x, y), counted from pixels' centres; leaves `out` black outside. */
function between({ data, width, height, channels }, x, y, out, to) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || x > width - 1 || y > height - 1) return;
  const [right, below] = [x - column, y - row];
  const at = (row * width + column) * channels;
  const [next, under] = [right > 0 ? channels : 0, below > 0 ? width * channels : 0];
  for (let k = 0; k < channels; k++) {
    const above = data[at + k] * (1 - right) + data[at + next + k] * right;
    const lower = data[at + under + k] * (1 - right) + data[at + under + next + k] * right;
    out[to + k] = above * (1 - below) + lower * below;
  }
}

/** The part of a picture about a square, and where it begins. */
function part(picture, x, y, side) {
  const [left, top] = [Math.max(Math.floor(x), 0), Math.max(Math.floor(y), 0)];
  const right = Math.max(Math.min(Math.ceil(x + side), picture.width), left);
  const bottom = Math.max(Math.min(Math.ceil(y + side), picture.height), top);
  const result = blank(right - left, bottom - top, picture.channels);
  for (let row = 0; row < result.height; row++) {
    const from = ((top + row) * picture.width + left) * picture.channels;
    const line = picture.data.subarray(from, from + result.width * picture.channels);
    result.data.set(line, row * result.width * picture.channels);
  }
  return [result, left, top];
}
const BINOMIAL = [1, 3, 3, 1].map((weight) => weight / 8);

/** Half the size, smoothed before. */
function halved(pixels) {
  return halvedAlong(halvedAlong(pixels, true), false);
}

function halvedAlong(pixels, across) {
  const { width, height, channels, data } = pixels;
  const result = across ? blank(width >> 1, height, channels) : blank(width, height >> 1, channels);
  const last = (across ? width : height) - 1;
  const stride = (across ? 1 : width) * channels;
  for (let row = 0, to = 0; row < result.height; row++) {
    for (let column = 0; column < result.width; column++) {
      const line = across ? row * width * channels : column * channels;
      const first = 2 * (across ? column : row) - 1;
      for (let k = 0; k < channels; k++, to++) {
        let sum = 0;
        for (let tap = 0; tap < 4; tap++) {
          sum += BINOMIAL[tap] * data[line + Math.min(Math.max(first + tap, 0), last) * stride + k];
        }
        result.data[to] = sum;
      }
    }
  }
  return result;
}

/** Gauss, as OpenCV blurs bytes: as many taps, reflected edges. */
function blurred(pixels, sigma) {
  const taps = Math.round(6 * sigma + 1) | 1;
  const middle = (taps - 1) / 2;
  const weights = Array.from({ length: taps }, (_, i) =>
    Math.exp(-((i - middle) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const kernel = weights.map((weight) => weight / total);
  const { width, height, channels } = pixels;
  const along = (source, stride, length) => {
    const result = new Float64Array(source.length);
    for (let at = 0; at < source.length; at++) {
      const place = Math.floor(at / stride) % length;
      for (let tap = 0; tap < taps; tap++) {
        let other = place + tap - middle;
        if (other < 0) other = -other;
        if (other >= length) other = 2 * length - 2 - other;
        result[at] += kernel[tap] * source[at + (other - place) * stride];
      }
    }
    return result;
  };
  const result = blank(width, height, channels);
  result.data.set(along(along(pixels.data, channels, width), width * channels, height));
  return result;
}
