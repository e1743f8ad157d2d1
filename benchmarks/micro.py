"""Whether TensorFlow Lite Micro answers as LiteRT does, and what Vela makes of trained models.

    pocketface study use celeba && dvc repro select_faces
    python benchmarks/micro.py facenet facenet_bis --count 200

Takes a study's trained models, or the published weights of that name. Converts each to the integer levels,
with ranges measured on the first 500 train faces of its view, as the studies do, and runs it on the faces
after those. Needs `pip install 'pocketface[pipeline,micro]'`. Writes its rows into the tables of
docs/deploy.md; with `--trace`, prints instead the operators that computed other values from equal inputs.
With `--no-dense`, dense layers are written as 1x1 convolutions, of the same weights.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from sections import write_rows

from pocketface.core.errors import exit_cleanly
from pocketface.faces import calibrate
from pocketface.levels import LEVELS, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.micro import vela
from pocketface.micro.interpreter import RUN, micro
from pocketface.published import folder as weights
from pocketface.published import model_card
from pocketface.tflite.file import TFLiteFile, kind
from pocketface.tflite.run import Runner, dequantized, quantized
from pocketface.training.fit import load

INTEGERS = ("int8", "int8_io", "uint8_io", "int16x8")
PAGE = Path(__file__).parents[1] / "docs/deploy.md"
HEAD = [
    "| model | level | file (kB) | faces | off by: own | reference | same answers: own | reference "
    "| arena (kB) | on the NPU (%) | cycles | SRAM (kB) | compiled file (kB) |",
    "| :-- | :-- |" + " --: |" * 11,
]

Answers = dict[str, np.ndarray]


@exit_cleanly
def main() -> None:
    """Prints a row for every model and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", help="folders of models/, whose view is in data/views/")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--levels", nargs="+", choices=INTEGERS, default=list(INTEGERS))
    parser.add_argument("--trace", action="store_true", help="tell which operators differ")
    parser.add_argument("--no-dense", action="store_true", help="write dense layers as 1x1 convolutions")
    args = parser.parse_args()
    rows = []
    for name in args.models:
        model = trained(name)
        if args.no_dense:
            model = without_dense(model)
        pixels = calibrate.load(Path("data/views") / name).pixels
        measured, seen = pixels[: calibrate.MOST], pixels[calibrate.MOST :][: args.count]
        float32 = to_tflite(model)
        for level in args.levels:
            made = make(model, float32, level, measured)
            for line in traced(name, level, made, seen) if args.trace else [row(name, level, made, seen)]:
                print(line, flush=True)
                rows.append(line)
    if not args.trace:
        write_rows(PAGE, "no dense layers" if args.no_dense else "micro", HEAD, rows)


def trained(name: str) -> keras.Model:
    """The study's model, or the published one where no study has trained it here."""
    folder = Path("models") / name
    folder = folder if folder.is_dir() else weights() / name
    return load(model_card(folder), folder)


class Pointwise(keras.layers.Dense):
    """A dense layer that is computed as a 1x1 convolution over one pixel."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """`[N, C]` to `[N, units]`."""
        pixel = keras.ops.reshape(inputs, (-1, 1, 1, inputs.shape[-1]))
        sums = keras.ops.reshape(keras.ops.conv(pixel, self.kernel[None, None]), (-1, self.units))
        return self.activation(sums + self.bias if self.use_bias else sums)


def without_dense(model: keras.Model) -> keras.Model:
    """The same model, every dense layer a `Pointwise`."""

    def copied(layer: keras.Layer) -> keras.Layer:
        kind = Pointwise if type(layer) is keras.layers.Dense else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def make(model: keras.Model, float32: TFLiteFile, level: str, pixels: np.ndarray) -> TFLiteFile:
    """The file of a level, as `pocketface.levels` makes it, but for the rounding."""
    if level == "int16x8":
        return to_tflite(model, LEVELS[level], pixels)
    return quantize(float32, LEVELS[level], ranges.measure(float32, pixels))


def traced(name: str, level: str, made: TFLiteFile, faces: np.ndarray) -> Iterator[str]:
    """A line for each operator that, of equal inputs, made other outputs in Micro than in LiteRT."""
    model = made.copy()
    graph = model.subgraphs[0]
    results = [int(tensor) for operator in graph.operators for tensor in operator.outputs]
    graph.outputs, model.signatureDefs = results, []
    given = int(graph.inputs[0])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(TFLiteFile.write(model).content)
        stored = quantized(faces, made.inputs["image"])
        own = litert(file, results, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, stored)
        reference = litert(file, results, OpResolverType.BUILTIN_REF, stored)
        micro = dict(zip(results, in_micro(file, stored, len(results)), strict=True))
    for kernels, theirs in (("own", own), ("reference", reference)):
        for operator in graph.operators:
            alike = np.ones(len(faces), bool)
            for tensor in operator.inputs:
                if tensor in micro and tensor != given:
                    alike &= same(micro[tensor], theirs[tensor])
            (out,) = operator.outputs
            off = np.abs(micro[out].astype(float) - theirs[out])[alike]
            if off.any():
                yield (
                    f"{name} {level}: {kind(model, operator)}, of {off.size} values "
                    f"{(off > 0).sum()} differ from LiteRT's {kernels} kernels, by {off.max():g} at most"
                )


def opened(file: Path, kernels: OpResolverType) -> Interpreter:
    """The file, ready to run, which keeps what every operator makes."""
    runner = Interpreter(
        model_path=str(file), experimental_op_resolver_type=kernels, experimental_preserve_all_tensors=True
    )
    runner.allocate_tensors()
    return runner


def litert(
    file: Path, results: Sequence[int], kernels: OpResolverType, stored: np.ndarray
) -> dict[int, np.ndarray]:
    """Tensor -> its stored values for every face."""
    runner = opened(file, kernels)
    port = runner.get_input_details()[0]
    found: dict[int, list[np.ndarray]] = {tensor: [] for tensor in results}
    for face in stored:
        runner.set_tensor(port["index"], face[None])
        runner.invoke()
        for tensor, values in found.items():
            values.append(runner.get_tensor(tensor)[0].copy())
    return {tensor: np.stack(values) for tensor, values in found.items()}


def in_micro(file: Path, stored: np.ndarray, outputs: int) -> list[np.ndarray]:
    """The stored values of a file's outputs for stored faces, by their place."""
    given = io.BytesIO()
    np.save(given, stored)
    command = [sys.executable, "-P", str(RUN), str(file), str(outputs)]
    done = subprocess.run(command, input=given.getvalue(), capture_output=True, check=True)
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as answers:
        return [answers[f"arr_{place}"] for place in range(outputs)]


def micro_answers(file: Path, faces: np.ndarray) -> Answers:
    """What Micro answers, as a `Runner` gives it."""
    read = TFLiteFile.read(file)
    stored = in_micro(file, quantized(faces, read.inputs["image"]), len(read.places))
    return {head: dequantized(stored[place], read.outputs[head]) for head, place in read.places.items()}


def off(answers: Answers, expected: Answers) -> float:
    """The largest difference in any answer."""
    return max(float(np.abs(answers[head] - values).max()) for head, values in expected.items())


def alike(answers: Answers, expected: Answers) -> int:
    """On how many faces every head decides the same: the class, or the whole number."""
    heads = [decided(answers[head]) == decided(values) for head, values in expected.items()]
    return int(np.all(heads, axis=0).sum())


def decided(values: np.ndarray) -> np.ndarray:
    """Of an answer `[N, K]`: the class, or of a single number the whole one."""
    return np.rint(values[:, 0]) if values.shape[1] == 1 else values.argmax(1)


def same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of which faces `[N]` all values are the same."""
    return (one == other).reshape(len(one), -1).all(axis=1)


def row(name: str, level: str, made: TFLiteFile, faces: np.ndarray) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(made.content)
        own, reference = (Runner(file, kernels=kernels)(faces) for kernels in ("own", "reference"))
        found = micro(file, faces)
        answers = micro_answers(file, faces) if found.runs else {}
        npu = vela.compile_for(file)
        compiled = file.with_name(npu.file).stat().st_size if npu and npu.file else 0
    varied = min(len(np.unique(values, axis=0)) for values in reference.values())
    cells = [name, level, f"{len(made.content) / 1e3:.0f}", f"{len(faces)} ({varied} different)"]
    if found.runs:
        cells += [f"{off(answers, theirs):.1g}" for theirs in (own, reference)]
        cells += [str(alike(answers, theirs)) for theirs in (own, reference)]
    else:
        cells += [f"no: {found.reason}", "", "", ""]
    cells += [f"{(found.arena_bytes or 0) / 1e3:.0f}"]
    if npu and npu.npu_share is not None:
        cells += [f"{100 * npu.npu_share:.0f}", f"{npu.cycles:,}", f"{(npu.sram_bytes or 0) / 1e3:.0f}"]
        cells += [f"{compiled / 1e3:.0f}"]
    else:
        cells += [npu.reason or "" if npu else "Vela is not installed", "", "", ""]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
