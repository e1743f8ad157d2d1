// A picture's faces and the chosen models' answers about each.
// An analysis: `faces`, and milliseconds for `finding` them and in `total`. A face: its box, its place (see crop.js), and an
// opinion a variant: what it has `seen`, its `answers`, those of level `float32` (null if this is it, or there is none),
// the `time` of the model alone, and whether it `fellBack` on the CPU although the GPU was asked for.
import { answersOf } from "./answers.js";
import { findFaces } from "./blazeface.js";
import { placeOf, seenBy } from "./crop.js";
import { detector, open } from "./runtime.js";

const REFERENCE = "float32";
export const MOST_RUNS = 50;
const LEAST_RUNS = 5;
/** Milliseconds in which a level is timed; one that is not done by then is timed by fewer runs. */
const PATIENCE = 1000;

/** Models are opened when they are first asked, and stay open until another engine starts. */
export class Analyst {
  models = new Map();

  constructor(bundle) {
    this.bundle = bundle;
  }

  forget() {
    this.models.clear();
    this.network = undefined;
  }

  async analyse(picture, chosen) {
    this.network ??= detector(this.bundle.detector.file);
    await Promise.all([this.network, ...chosen.map((variant) => this.model(variant))]);
    const begin = performance.now();
    const found = await findFaces(picture, await this.network);
    const finding = performance.now() - begin;
    found.sort((one, other) => width(other.box) - width(one.box));
    const faces = [];
    for (const { box, points } of found) {
      const place = placeOf(points, this.bundle.alignment);
      const opinions = [];
      for (const variant of chosen) opinions.push(await this.ask(variant, picture, place));
      faces.push({ box, place, opinions });
    }
    return { faces, finding, total: performance.now() - begin };
  }

  async ask(variant, picture, place) {
    const seen = seenBy(variant, picture, place);
    const model = await this.model(variant);
    const { outputs, time } = await model.run(seen);
    const reference = this.reference(variant);
    const float32 =
      reference && answersOf(reference, (await (await this.model(reference)).run(seen)).outputs);
    return { variant, seen, answers: answersOf(variant, outputs), float32, time, fellBack: model.fellBack };
  }

  /** The times of a variant for one face, in milliseconds, after a first run that does not count. */
  async time(variant, seen) {
    const model = await this.model(variant);
    await model.run(seen);
    const times = [];
    const end = performance.now() + PATIENCE;
    while (times.length < LEAST_RUNS || (times.length < MOST_RUNS && performance.now() < end)) {
      times.push((await model.run(seen)).time);
    }
    times.sort((one, other) => one - other);
    return { median: times[Math.floor(times.length / 2)], fastest: times[0] };
  }

  reference(variant) {
    if (variant.level === REFERENCE) return null;
    const same = ({ model, from }) => model === variant.model && from === variant.from;
    return this.bundle.variants.find((other) => same(other) && other.level === REFERENCE && other.file) ?? null;
  }

  model(variant) {
    const known = this.models.get(variant) ?? open(variant);
    this.models.set(variant, known);
    return known;
  }
}

const width = (box) => box[2] - box[0];
