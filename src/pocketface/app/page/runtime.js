// LiteRT in the browser: loading it once, and models that take bytes and give numbers.
import {
  loadAndCompile,
  loadLiteRt,
  supportsFeature,
  Tensor,
  TensorBufferType,
  unloadLiteRt,
} from "./litert/index.js";
import { loadFile } from "./bundle.js";

/** More than this many threads do not help nets of a few milliseconds. */
const MOST_THREADS = 4;

export const threads = () => Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);

/** Engine -> why it cannot be used here; null if it can, as one CPU thread always. */
export async function hindrances() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return new Map([
    ["threads", await noThreads()],
    ["webgpu", adapter ? null : "this browser offers no GPU"],
  ]);
}

async function noThreads() {
  if (threads() < 2) return "this device has one processor";
  if (!self.crossOriginIsolated) return "the server sends no COOP and COEP headers";
  const able = (await supportsFeature("threads")) && (await supportsFeature("relaxedSimd"));
  return able ? null : "this browser has no WASM threads with relaxed SIMD";
}

/** What computes: `cpu`, one thread; `threads`, several; or `webgpu`. */
let running = null;

/** Loads LiteRT for an engine; models of an earlier engine are gone. */
export async function start(engine) {
  if (running) unloadLiteRt();
  running = null;
  await loadLiteRt("litert/", { threads: engine === "threads" });
  running = engine;
}

/** A file, compiled; and whether the CPU has it although the GPU was asked for. */
async function compile(file) {
  const bytes = await loadFile(file);
  const model = running === "webgpu" ? await onGpu(bytes) : null;
  if (model) return { model, fellBack: false };
  const cpuOptions = { numThreads: running === "threads" ? threads() : 1 };
  return {
    model: await loadAndCompile(bytes, { accelerator: "wasm", cpuOptions }),
    fellBack: running === "webgpu",
  };
}

/** A file, compiled for the GPU and run once there; null where the GPU cannot do all of it, 16-bit integers for one. */
async function onGpu(bytes) {
  let model = null;
  try {
    model = await loadAndCompile(bytes, { accelerator: "webgpu" });
    const [[input], [output]] = [model.getInputDetails(), model.getOutputDetails()];
    // What LiteRT compiled for the CPU instead answers in the CPU's memory.
    if (model.isFullyAccelerated && !output.supportedBufferTypes.has(TensorBufferType.HOST_MEMORY)) {
      await run(model, input, zeros(input));
      return model;
    }
  } catch (error) {
    console.warn("The GPU does not run this file.", error);
  }
  model?.delete();
  return null;
}

async function run(model, input, data) {
  const tensor = new Tensor(data, input.shape);
  try {
    const answers = await model.run({ [input.name]: tensor });
    const result = {};
    for (const [name, answer] of Object.entries(answers)) {
      result[name] = await answer.data();
      answer.delete();
    }
    return result;
  } finally {
    tensor.delete();
  }
}

export async function detector(file) {
  const { model } = await compile(file);
  const [input] = model.getInputDetails();
  return async (data) => {
    const answers = Object.values(await run(model, input, data));
    const [scores, values] = answers.sort((one, other) => one.length - other.length);
    return { values, scores };
  };
}

export async function open(variant) {
  const { model, fellBack } = await compile(variant.file);
  const [input] = model.getInputDetails();
  return {
    fellBack,
    async run(seen) {
      const begin = performance.now();
      const answers = await run(model, input, stored(seen.data, variant.ports.image));
      const outputs = Object.fromEntries(
        Object.entries(answers).map(([head, values]) => [head, told(values, variant.ports[head])]),
      );
      return { outputs, time: performance.now() - begin };
    },
  };
}

const zeros = ({ dtype, shape }) => {
  const size = shape.reduce((product, side) => product * side, 1);
  return dtype === "float32" ? new Float32Array(size) : new Uint8Array(size);
};

/** Bytes 0..255 as an input takes them; as `quantized` in src/pocketface/tflite/run.py. */
function stored(pixels, { dtype, scale, zero_point }) {
  if (dtype === "FLOAT32") return Float32Array.from(pixels);
  return Uint8Array.from(pixels, (value) =>
    Math.min(Math.max(Math.round(value / scale) + zero_point, 0), 255),
  );
}

function told(values, { dtype, scale, zero_point }) {
  if (dtype === "FLOAT32") return values;
  return Float32Array.from(values, (value) => (value - zero_point) * scale);
}
