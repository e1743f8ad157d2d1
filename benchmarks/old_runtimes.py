"""Which runtimes answer a file as ours does, and which refuse it: those that pip offers, from 2.7 on.

python benchmarks/old_runtimes.py

Runs every published file on synthetic faces, and a small model at all levels on noise, in every runtime, and
prints a table. `oldest` is what the file itself says. A cell is the largest difference from the installed
runtime, as a share of how far its answers are apart; `-` where the runtime refuses the file; `CRASH` or
`WRONG`, which must not be and end in status 1. `uv` makes the environments, with Python 3.9 and numpy 1.23
for the old ones: ten minutes, and 400 MB of uv's cache. It finds pyenv's Pythons where `PYENV_VERSION` names
them, for example `PYENV_VERSION=3.9.18:3.11.7`. See docs/deploy.md.
"""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from keras import layers

from pocketface import published
from pocketface.cards import MODEL_FILE
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.labels import GENDERS, Output
from pocketface.faces.calibrate import Calibration
from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.settings import LevelSettings as Settings
from pocketface.levels.source import Source
from pocketface.synthetic.conditions import draw, encode
from pocketface.synthetic.decoder import Decoder
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Runner

OLD = ("2.7.0", "2.8.0", "2.9.1", "2.10.0", "2.11.0", "2.12.0", "2.13.0", "2.14.0")
"""Of tflite-runtime."""
NEW = ("1.0.1", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.0.3", "2.1.6", "2.2.0")
"""Of ai-edge-litert."""
RUN = Path(__file__).with_name("old_runtimes_run.py")
SIDE, FACES, PICTURES, SECONDS = 32, 200, 12, 300
CLOSE = 0.25
"""Share of our answers' spread. Who says the same of every picture is half of it off, or more."""
OUTPUTS = {"age": Output(kind="number", unit="years"), "gender": Output(kind="classes", labels=GENDERS)}
SETTINGS = Settings(calibration=100, epochs=1, max_drop={"age_mae": 5, "gender_accuracy": 0.5})


@exit_cleanly
def main() -> None:
    """Prints the table."""
    runtimes = {f"tflite {v}": python("3.9", f"tflite-runtime=={v}", "numpy<1.24") for v in OLD}
    runtimes |= {f"LiteRT {v}": python("3.11", f"ai-edge-litert=={v}", "numpy<2") for v in NEW}
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        files = small(Path(folder)) | published_files()
        print(f"| file | oldest | {' | '.join(runtimes)} |\n| :-- | --: |{' --: |' * len(runtimes)}")
        for name, file in files.items():
            pictures = Path(folder) / "pictures.npy"
            see = noise if name in LEVELS else drawn
            np.save(pictures, see(PICTURES, Runner(file).input_shape))
            ours = answers([sys.executable], file, pictures)
            jobs = [pool.submit(answers, command, file, pictures) for command in runtimes.values()]
            cells = [cell(ours, job.result()) for job in jobs]
            wrong += sum(text in ("WRONG", "CRASH") for text in cells)
            oldest = TFLiteFile.read(file).min_runtime
            print(f"| {name} | {oldest} | {' | '.join(cells)} |", flush=True)
    if wrong:
        raise PocketfaceError(f"{wrong} answers are wrong; raise versions in pocketface.tflite.versions")


def python(version: str, *packages: str) -> list[str]:
    """The command of a Python that has these packages and no others."""
    options = (option for package in packages for option in ("--with", package))
    return ["uv", "run", "--quiet", "--isolated", "--no-project", "--python", version, *options, "python"]


def published_files() -> dict[str, Path]:
    """Name -> file."""
    found = sorted(published.folder().glob(f"*/*/{MODEL_FILE}"))
    return {f"weights/{path.parent.parent.name}/{path.parent.name}": path for path in found}


def small(folder: Path) -> dict[str, Path]:
    """Level -> file of a small model of a convolution, a depthwise one and dense layers."""
    keras.utils.set_random_seed(0)
    image = layers.Input((SIDE, SIDE, 3), name="image")
    x = layers.Conv2D(40, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.MaxPooling2D()(layers.DepthwiseConv2D(3, activation="relu")(x))
    x = layers.Dense(48, activation="relu")(layers.Flatten()(layers.Conv2D(32, 3)(x)))
    model = keras.Model(image, {"age": layers.Dense(1)(x), "gender": layers.Dense(2, "softmax")(x)})
    faces = noise(FACES, (SIDE, SIDE, 3))
    labels = pd.DataFrame(
        {"age": np.linspace(1, 90, FACES), "gender": [GENDERS[i % 2] for i in range(FACES)]}
    )
    calibration = Calibration(faces, [str(i) for i in range(FACES)], labels)
    source = Source(OUTPUTS, to_tflite(model), calibration, lambda: model)
    files = {}
    for level in LEVELS.values():
        files[level.name] = folder / f"{level.name}.tflite"
        made = level.make(source, SETTINGS).file
        level.check(made)
        files[level.name].write_bytes(made.content)
    return files


def noise(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """From dark to light: uint8 `[count, *shape]`."""
    light = np.linspace(0.2, 1, count).reshape(-1, 1, 1, 1)
    return (np.random.default_rng(0).integers(0, 256, (count, *shape)) * light).astype(np.uint8)


def drawn(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Synthetic faces of all kinds, about which answers differ: uint8 `[count, *shape]`."""
    random, decoder = np.random.default_rng(0), Decoder(published.folder() / "faces-generator")
    faces = decoder(random.standard_normal((count, decoder.latent)), encode(draw(count, random)))
    sized = [cv2.resize(face, shape[1::-1], interpolation=cv2.INTER_AREA) for face in faces]
    return np.stack(sized) if shape[2] == 3 else np.stack(sized).mean(-1, keepdims=True).astype(np.uint8)


def answers(command: list[str], file: Path, pictures: Path) -> list[np.ndarray] | str:
    """The outputs in a runtime, or what happened instead."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answers.npz"
        arguments = [*command, str(RUN), str(file), str(pictures), str(out)]
        done = subprocess.run(arguments, capture_output=True, timeout=SECONDS, check=False, text=True)
        if done.returncode == 3:
            return "-"
        if done.returncode < 0 or done.returncode > 128:
            return "CRASH"
        if done.returncode != 0:
            raise PocketfaceError(f"{' '.join(arguments[:8])}: {done.stderr.strip().splitlines()[-1]}")
        with np.load(out) as stored:
            return list(stored.values())


def cell(ours: list[np.ndarray] | str, theirs: list[np.ndarray] | str) -> str:
    """One cell of the table."""
    if isinstance(theirs, str) or isinstance(ours, str):
        return theirs if isinstance(theirs, str) else f"ours: {ours}"
    pairs = zip(ours, theirs, strict=True)
    worst = max(float(np.abs(b - a).max() / np.ptp(a, axis=0).max()) for a, b in pairs)
    return f"{worst:.1g}" if worst <= CLOSE else "WRONG"


if __name__ == "__main__":
    main()
