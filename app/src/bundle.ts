// The bundle that `export_app` wrote: src/pocketface/app/bundle.py says what is in it.

export interface Meaning {
  kind: "number" | "classes";
  unit: string | null;
  labels: string[];
}

export interface Port {
  dtype: "FLOAT32" | "UINT8";
  scale: number | null;
  zero_point: number | null;
}

/** A model at one quantization level. Without a `file` the page cannot run it, for the `reason`. */
export interface Variant {
  model: string;
  level: string;
  dataset: string;
  licence: string;
  outputs: Record<string, Meaning>;
  ports: Record<string, Port>;
  parameters: number;
  macs: number;
  size_bytes: number | null;
  reason?: string;
  file?: string;
  card?: string;
  /** The aligned chip that is cut out of the picture: pixels, margin in mean faces, whether grey. */
  cut?: { size: number; margin: number; grey: boolean };
  /** What the model sees of it: left, top and side as shares of the chip; pixels; channels. */
  view?: { window: [number, number, number]; size: number; channels: 1 | 3 };
}

export type Complex = [number, number];

/** Weights of eye, eye, nose, mouth; see benchmarks/finder.py. */
export interface Alignment {
  size: Complex[];
  centre: Complex[];
}

export interface Bundle {
  study: string;
  detector: { file: string };
  alignment: Alignment;
  variants: Variant[];
}

const FOLDER = "bundle/";

export async function loadBundle(): Promise<Bundle> {
  return (await get("index.json")).json();
}

export async function loadFile(file: string): Promise<Uint8Array> {
  return new Uint8Array(await (await get(file)).arrayBuffer());
}

/** Fetches what the page may be asked for later, so that it is there without a network. */
export async function keep(bundle: Bundle): Promise<void> {
  for (const variant of bundle.variants) {
    if (variant.file && variant.card) await Promise.all([get(variant.file), get(variant.card)]);
  }
}

export const address = (file: string): string => FOLDER + file;

async function get(file: string): Promise<Response> {
  const answer = await fetch(address(file));
  if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}`);
  return answer;
}
