"""Whether TensorFlow Lite Micro answers as LiteRT does, and what Vela makes of a study's trained models.

    cp studies/facenet_cv.yaml params.yaml && dvc repro train select_faces
    python benchmarks/micro.py facenet facenet_bis --count 200

Converts each to the integer levels, with ranges measured on the first 500 train faces of its view, as the
studies do, and runs it on the faces after those. Needs `pip install 'pocketface[pipeline,micro]'`. Prints the
rows for docs/deploy.md.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np

from pocketface.cards import ModelCard, read_card
from pocketface.errors import exit_cleanly
from pocketface.tflite import calibrate, ethos, ranges, runtimes
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS
from pocketface.tflite.quantizer import quantize
from pocketface.tflite.run import Runner
from pocketface.training.fit import load

INTEGERS = ("int8", "int8_io", "uint8_io", "int16x8")


@exit_cleanly
def main() -> None:
    """Prints a row for every model and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", help="folders of models/, whose view is in data/views/")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--levels", nargs="+", choices=INTEGERS, default=list(INTEGERS))
    args = parser.parse_args()
    for name in args.models:
        folder = Path("models") / name
        model = load(read_card(folder, ModelCard), folder)
        pixels = calibrate.load(Path("data/views") / name).pixels
        measured, seen = pixels[: calibrate.MOST], pixels[calibrate.MOST :][: args.count]
        float32 = to_tflite(model)
        for level in args.levels:
            print(row(name, level, make(model, float32, level, measured), seen), flush=True)


def make(model: keras.Model, float32: bytes, level: str, pixels: np.ndarray) -> bytes:
    """The file of a level, as `pocketface.tflite.convert` makes it."""
    if LEVELS[level].maker == "converter":
        return to_tflite(model, LEVELS[level], pixels)
    return quantize(float32, LEVELS[level], ranges.measure(float32, pixels))


def row(name: str, level: str, content: bytes, faces: np.ndarray) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(content)
        reference = Runner(file, kernels="reference")(faces)
        plain = runtimes.micro(file, faces, reference)
        micro = runtimes.micro(file, faces, Runner(file, kernels="own")(faces))
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
