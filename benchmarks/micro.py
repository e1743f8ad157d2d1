"""Whether TensorFlow Lite Micro answers as LiteRT does, and what Vela makes of the small models.

python benchmarks/micro.py --faces data/views/expression --count 200

Builds `facenet`, `facenet_bis`, `mini_xception` and `deepface_emotion` with random weights (arithmetic that
differs shows on any weights), converts each to the integer levels with ranges measured on 100 faces, and runs
it on others. Needs `pip install 'pocketface[pipeline,micro]'` and `dvc repro select_faces@expression`. Prints
the rows for docs/deploy.md.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import keras
import numpy as np

from pocketface import models
from pocketface.errors import exit_cleanly
from pocketface.study import Input
from pocketface.study import Level as Settings
from pocketface.tflite import calibrate, ethos, ranges, runtimes
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS
from pocketface.tflite.quantizer import quantize
from pocketface.tflite.run import Runner

ATTRIBUTES = ["Male", "Eyeglasses", "No_Beard", "Bald", "Mustache", "Wearing_Hat"]
PLANS = {
    "facenet": ("facenet", 36, ATTRIBUTES),
    "facenet_bis": ("facenet", 36, ATTRIBUTES[1:]),
    "mini_xception": ("mini_xception", 64, ["expression"]),
    "deepface_emotion": ("deepface_emotion", 48, ["expression"]),
}
INTEGERS = ("int8", "int8_io", "uint8_io", "int16x8")


@exit_cleanly
def main() -> None:
    """Prints a row for every model and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--faces", type=Path, default=Path("data/views/expression"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--models", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--levels", nargs="+", choices=INTEGERS, default=list(INTEGERS))
    args = parser.parse_args()
    pixels = calibrate.load(args.faces).pixels
    measured = Settings().calibration
    for name in args.models:
        architecture, size, heads = PLANS[name]
        seen = np.stack([cv2.resize(face, (size, size)) for face in pixels[: measured + args.count]])[
            ..., None
        ]
        keras.utils.set_random_seed(1)
        model = models.build(architecture, Input(size=size, channels=1), heads)
        enliven(model, seen[:measured])
        float32 = to_tflite(model)
        for level in args.levels:
            print(row(name, level, make(model, float32, level, seen[:measured]), seen[measured:]), flush=True)


def enliven(model: keras.Model, faces: np.ndarray) -> None:
    """Weights as a training leaves them: biases and statistics neither nought nor one, heads that tell faces
    apart. A model that answers the same for every face would agree with any runtime."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + random.uniform(-0.3, 0.3, weight.shape))
    answers = model.predict(faces.astype(np.float32), verbose=0)
    for head, probabilities in answers.items():
        logits = np.log(probabilities + 1e-9)
        factor = 2 / logits.std(axis=0).mean()
        for weight in model.weights:
            if weight.path.startswith((f"{head}/", f"{head}_")):
                centre = logits.mean(axis=0) if len(weight.shape) == 1 else 0
                weight.assign((weight - centre) * factor)


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
