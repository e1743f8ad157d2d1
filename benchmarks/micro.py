"""Whether TensorFlow Lite Micro answers as LiteRT does, and what Vela makes of a study's trained models.

    cp studies/facenet_cv.yaml params.yaml && dvc repro train select_faces
    python benchmarks/micro.py facenet facenet_bis --count 200

Converts each to the integer levels, with ranges measured on the first 500 train faces of its view, as the
studies do, and runs it on the faces after those. Needs `pip install 'pocketface[pipeline,micro]'`. Prints the
rows for docs/deploy.md; with `--trace`, instead, the operators that computed other values from equal inputs.
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

from pocketface.cards import ModelCard, read_card
from pocketface.errors import exit_cleanly
from pocketface.tflite import calibrate, ethos, flatbuffer, ranges, runtimes
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS
from pocketface.tflite.quantizer import quantize
from pocketface.tflite.run import Runner, quantized
from pocketface.training.fit import load

INTEGERS = ("int8", "int8_io", "uint8_io", "int16x8")


@exit_cleanly
def main() -> None:
    """Prints a row for every model and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", help="folders of models/, whose view is in data/views/")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--levels", nargs="+", choices=INTEGERS, default=list(INTEGERS))
    parser.add_argument("--trace", action="store_true", help="tell which operators differ")
    args = parser.parse_args()
    for name in args.models:
        folder = Path("models") / name
        model = load(read_card(folder, ModelCard), folder)
        pixels = calibrate.load(Path("data/views") / name).pixels
        measured, seen = pixels[: calibrate.MOST], pixels[calibrate.MOST :][: args.count]
        float32 = to_tflite(model)
        for level in args.levels:
            made = make(model, float32, level, measured)
            for line in traced(name, level, made, seen) if args.trace else [row(name, level, made, seen)]:
                print(line, flush=True)


def make(model: keras.Model, float32: bytes, level: str, pixels: np.ndarray) -> bytes:
    """The file of a level, as `pocketface.tflite.convert` makes it."""
    if LEVELS[level].maker == "converter":
        return to_tflite(model, LEVELS[level], pixels)
    return quantize(float32, LEVELS[level], ranges.measure(float32, pixels))


def traced(name: str, level: str, content: bytes, faces: np.ndarray) -> Iterator[str]:
    """A line for each operator that, of equal inputs, made other outputs in Micro than in LiteRT."""
    model = flatbuffer.parse(content)
    graph = model.subgraphs[0]
    results = [int(tensor) for operator in graph.operators for tensor in operator.outputs]
    graph.outputs, model.signatureDefs = results, []
    given = int(graph.inputs[0])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(flatbuffer.serialize(model))
        own, stored = litert(file, results, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, faces)
        reference, _ = litert(file, results, OpResolverType.BUILTIN_REF, faces)
        done = subprocess.run(
            [sys.executable, "-P", str(runtimes.MICRO_RUN), str(file), str(len(results))],
            input=npy(stored),
            capture_output=True,
            check=True,
        )
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as answers:
        micro = {tensor: answers[f"arr_{place}"] for place, tensor in enumerate(results)}
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
                    f"{name} {level}: {flatbuffer.kind(model, operator)}, of {off.size} values "
                    f"{(off > 0).sum()} differ from LiteRT's {kernels} kernels, by {off.max():g} at most"
                )


def litert(
    file: Path, results: Sequence[int], kind: OpResolverType, faces: np.ndarray
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Tensor -> its stored values for every face; and the faces as stored."""
    runner = Interpreter(
        model_path=str(file), experimental_op_resolver_type=kind, experimental_preserve_all_tensors=True
    )
    runner.allocate_tensors()
    port = runner.get_input_details()[0]
    stored = quantized(faces, port)
    found: dict[int, list[np.ndarray]] = {tensor: [] for tensor in results}
    for face in stored:
        runner.set_tensor(port["index"], face[None])
        runner.invoke()
        for tensor, values in found.items():
            values.append(runner.get_tensor(tensor)[0].copy())
    return {tensor: np.stack(values) for tensor, values in found.items()}, stored


def same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of which faces `[N]` all values are the same."""
    return (one == other).reshape(len(one), -1).all(axis=1)


def npy(values: np.ndarray) -> bytes:
    """The bytes of an `.npy` file."""
    written = io.BytesIO()
    np.save(written, values)
    return written.getvalue()


def row(name: str, level: str, content: bytes, faces: np.ndarray) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(content)
        reference = Runner(file, kernels="reference")(faces)
        plain = runtimes.micro(file, faces, "reference")
        micro = runtimes.micro(file, faces, "own")
        npu = ethos.compile_for(file)
        compiled = file.with_name(npu.file).stat().st_size if npu and npu.file else 0
    varied = min(len(np.unique(answers, axis=0)) for answers in reference.values())
    cells = [name, level, f"{len(content) / 1e3:.0f}", f"{len(faces)} ({varied} different)"]
    for compared in (micro, plain):
        cells += [f"{compared.max_difference:.1g}" if compared.runs else f"no: {compared.reason}"]
    cells += [f"{(micro.arena_bytes or 0) / 1e3:.0f}"]
    if npu and npu.npu_share is not None:
        cells += [f"{100 * npu.npu_share:.0f}", f"{npu.cycles:,}", f"{(npu.sram_bytes or 0) / 1e3:.0f}"]
        cells += [f"{compiled / 1e3:.0f}"]
    else:
        cells += [npu.reason or "" if npu else "Vela is not installed", "", "", ""]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
