// BlazeFace. The same as benchmarks/page_looks.py, which explains it; a test holds the two together.
// A face: `{box, points}`; box is left, top, right, bottom in pixels; points are eye, eye, nose, mouth, ear, ear,
// the left ones of the picture first. A network takes float32 [128, 128, 3] in [-1, 1] and gives values [896, 16] and
// scores [896].
import { blank, resized } from "./pixels.js";

const SIDE = 128;
const GRIDS = [
  [16, 2],
  [8, 6],
];
const MIRROR = [1, 0, 2, 3, 5, 4];
const MIN_SCORE = 0.5;
const SAME_FACE = 0.3;
const PART = 0.6;
const COVERED = 0.5;
const CLOSE = 2;

/** The faces in a picture: those of the whole picture first, the surest first. */
export async function findFaces(picture, network) {
  const found = [];
  for (const region of regions(picture.width, picture.height)) {
    for (const face of await look(picture, region, network)) {
      if (cutOff(face.box, region, picture)) continue;
      if (found.some((other) => covered(face.box, other.box) > COVERED)) continue;
      found.push(face);
    }
  }
  for (const face of found) face.points = await closer(picture, face, network);
  return found;
}

function* regions(width, height) {
  yield [0, 0, width, height];
  const side = Math.round(PART * Math.max(width, height));
  for (const top of new Set([0, Math.max(height - side, 0)])) {
    for (const left of new Set([0, Math.max(width - side, 0)])) {
      yield [left, top, Math.min(left + side, width), Math.min(top + side, height)];
    }
  }
}

async function closer(picture, face, network) {
  const region = closeBy(face.box);
  const looks = [];
  for (const mirror of [false, true]) {
    const nearby = (await look(picture, region, network, mirror)).filter(
      (other) => shared(other.box, face.box) > 0,
    );
    nearby.sort((one, other) => overlap(other.box, face.box) - overlap(one.box, face.box));
    if (nearby.length) looks.push(nearby[0].points);
  }
  if (!looks.length) return face.points;
  return face.points.map((_, i) => [0, 1].map((k) => mean(looks.map((points) => points[i][k]))));
}

function closeBy(box) {
  const side = Math.max(Math.round(CLOSE * Math.max(box[2] - box[0], box[3] - box[1])), 1);
  const left = Math.round((box[0] + box[2]) / 2 - side / 2);
  const top = Math.round((box[1] + box[3]) / 2 - side / 2);
  return [left, top, left + side, top + side];
}

async function look(picture, region, network, mirror = false) {
  const [left, top, right, bottom] = region;
  const scale = SIDE / Math.max(right - left, bottom - top);
  const width = Math.max(Math.round((right - left) * scale), 1);
  const height = Math.max(Math.round((bottom - top) * scale), 1);
  const x = Math.floor((SIDE - width) / 2);
  const y = Math.floor((SIDE - height) / 2);
  const square = blank(SIDE, SIDE, 3);
  const small = resized(picture, region, width, height);
  for (let row = 0; row < height; row++) {
    const line = small.data.subarray(row * width * 3, (row + 1) * width * 3);
    square.data.set(line, ((y + row) * SIDE + x) * 3);
  }
  const { values, scores } = await network(prepared(square, mirror));
  return merged(decoded(values, scores)).map((face) =>
    moved(mirror ? mirrored(face) : face, scale, left - x / scale, top - y / scale),
  );
}

function prepared(square, mirror) {
  const input = new Float32Array(square.data.length);
  for (let row = 0, to = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const from = (row * SIDE + (mirror ? SIDE - 1 - column : column)) * 3;
      for (let k = 0; k < 3; k++) input[to++] = square.data[from + k] / 127.5 - 1;
    }
  }
  return input;
}

function decoded(values, scores) {
  const faces = [];
  ANCHORS.forEach(([x, y], i) => {
    const score = 1 / (1 + Math.exp(-Math.min(Math.max(scores[i], -80), 80)));
    if (score < MIN_SCORE) return;
    const at = values.subarray(16 * i, 16 * i + 16);
    const box = [x + at[0] - at[2] / 2, y + at[1] - at[3] / 2, x + at[0] + at[2] / 2, y + at[1] + at[3] / 2];
    const points = Array.from({ length: 6 }, (_, k) => [x + at[4 + 2 * k], y + at[5 + 2 * k]]);
    faces.push({ score, box, points });
  });
  return faces.sort((one, other) => other.score - one.score);
}

function merged(faces) {
  const result = [];
  for (let left = faces; left.length;) {
    const [first] = left;
    const same = left.filter((face) => face === first || overlap(face.box, first.box) > SAME_FACE);
    left = left.filter((face) => !same.includes(face));
    const weights = same.map((face) => face.score);
    const merge = (value) => mean(same.map(value), weights);
    result.push({
      box: first.box.map((_, k) => merge((face) => face.box[k])),
      points: first.points.map((_, i) => [0, 1].map((k) => merge((face) => face.points[i][k]))),
    });
  }
  return result;
}

function mirrored({ box, points }) {
  return {
    box: [SIDE - box[2], box[1], SIDE - box[0], box[3]],
    points: MIRROR.map((i) => [SIDE - points[i][0], points[i][1]]),
  };
}

function moved({ box, points }, scale, left, top) {
  const [x, y] = [(value) => value / scale + left, (value) => value / scale + top];
  return {
    box: [x(box[0]), y(box[1]), x(box[2]), y(box[3])],
    points: points.map(([px, py]) => [x(px), y(py)]),
  };
}

function cutOff(box, [left, top, right, bottom], { width, height }) {
  return (
    (left > 0 && box[0] < left) ||
    (top > 0 && box[1] < top) ||
    (right < width && box[2] > right) ||
    (bottom < height && box[3] > bottom)
  );
}

function overlap(one, other) {
  const both = shared(one, other);
  const union = area(one) + area(other) - both;
  return union > 0 ? both / union : 0;
}

function covered(one, other) {
  const smaller = Math.min(area(one), area(other));
  return smaller > 0 ? shared(one, other) / smaller : 0;
}

const shared = (one, other) =>
  Math.max(Math.min(one[2], other[2]) - Math.max(one[0], other[0]), 0) *
  Math.max(Math.min(one[3], other[3]) - Math.max(one[1], other[1]), 0);

const area = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);

function mean(values, weights = values.map(() => 1)) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return values.reduce((sum, value, i) => sum + value * weights[i], 0) / total;
}
const ANCHORS = GRIDS.flatMap(([n, k]) =>
  Array.from({ length: n * n * k }, (_, i) => {
    const cell = Math.floor(i / k);
    return [(((cell % n) + 0.5) / n) * SIDE, ((Math.floor(cell / n) + 0.5) / n) * SIDE];
  }),
);
