// A picture's faces and the chosen models' answers about each.
import { answersOf, type Answer } from "./answers";
import { findFaces, type Box, type Network } from "./blazeface";
import type { Bundle, Variant } from "./bundle";
import { placeOf, seenBy, type Place } from "./crop";
import type { Pixels } from "./pixels";
import { detector, open, type Model } from "./runtime";

export interface Opinion {
  variant: Variant;
  seen: Pixels;
  answers: Answer[];
  /** What the float32 level says; null if this is it, or there is none. */
  float32: Answer[] | null;
  /** Milliseconds of the model alone. */
  time: number;
  /** Whether the CPU computed although the GPU was asked for. */
  fellBack: boolean;
}

export interface Face {
  box: Box;
  place: Place;
  opinions: Opinion[];
}

export interface Analysis {
  faces: Face[];
  /** Milliseconds: finding all faces; everything. */
  finding: number;
  total: number;
}

const REFERENCE = "float32";

export const MOST_RUNS = 50;
const LEAST_RUNS = 5;
/** Milliseconds in which a level is timed; one that is not done by then is timed by fewer runs. */
const PATIENCE = 1000;

/** Models are opened when they are first asked, and stay open until another engine starts. */
export class Analyst {
  private models = new Map<Variant, Promise<Model>>();
  private network?: Promise<Network>;

  constructor(private bundle: Bundle) {}

  forget(): void {
    this.models.clear();
    this.network = undefined;
  }

  /** Loads what `analyse` will need. */
  async prepare(chosen: Variant[]): Promise<void> {
    this.network ??= detector(this.bundle.detector.file);
    await Promise.all([this.network, ...chosen.map((variant) => this.model(variant))]);
  }

  async analyse(picture: Pixels, chosen: Variant[]): Promise<Analysis> {
    await this.prepare(chosen);
    const begin = performance.now();
    const found = await findFaces(picture, await this.network!);
    const finding = performance.now() - begin;
    found.sort((one, other) => width(other.box) - width(one.box));
    const faces: Face[] = [];
    for (const { box, points } of found) {
      const place = placeOf(points, this.bundle.alignment);
      const opinions: Opinion[] = [];
      for (const variant of chosen) opinions.push(await this.ask(variant, picture, place));
      faces.push({ box, place, opinions });
    }
    return { faces, finding, total: performance.now() - begin };
  }

  async ask(variant: Variant, picture: Pixels, place: Place): Promise<Opinion> {
    const seen = seenBy(variant, picture, place);
    const model = await this.model(variant);
    const { outputs, time } = await model.run(seen);
    const reference = this.reference(variant);
    const float32 = reference && answersOf(reference, (await (await this.model(reference)).run(seen)).outputs);
    return { variant, seen, answers: answersOf(variant, outputs), float32, time, fellBack: model.fellBack };
  }

  /** The times of a variant for one face, in milliseconds, after a first run that does not count. */
  async time(variant: Variant, seen: Pixels): Promise<{ median: number; fastest: number }> {
    const model = await this.model(variant);
    await model.run(seen);
    const times: number[] = [];
    const end = performance.now() + PATIENCE;
    while (times.length < LEAST_RUNS || (times.length < MOST_RUNS && performance.now() < end)) {
      times.push((await model.run(seen)).time);
    }
    times.sort((one, other) => one - other);
    return { median: times[Math.floor(times.length / 2)], fastest: times[0] };
  }

  private reference(variant: Variant): Variant | null {
    if (variant.level === REFERENCE) return null;
    return (
      this.bundle.variants.find(({ model, level, file }) => model === variant.model && level === REFERENCE && file) ??
      null
    );
  }

  private model(variant: Variant): Promise<Model> {
    const known = this.models.get(variant) ?? open(variant);
    this.models.set(variant, known);
    return known;
  }
}

const width = (box: Box): number => box[2] - box[0];
