"""Running a file in TensorFlow Lite Micro's Python interpreter (`pip install 'pocketface[micro]'`).

Its kernels are written after LiteRT's plain reference kernels and compared with those: the own ones round
otherwise, see docs/deploy.md.
"""

import io
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pocketface.cards import Runtime
from pocketface.core.processes import run
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Runner, dequantized, quantized
from pocketface.tflite.runtimes import compared

NO_MICRO = "tflite-micro is not installed"
RUN = Path(__file__).with_name("interpreter_run.py")
SECONDS = 600


def micro(path: Path, faces: np.ndarray) -> Runtime:
    """Runs a file for faces uint8 `[N, H, W, C]` in a process of its own, which may crash, and whose error
    stream tells the arena.
    """
    if find_spec("tflite_micro") is None:
        return Runtime(runs=False, reason=NO_MICRO)
    given, file = io.BytesIO(), TFLiteFile.read(path)
    np.save(given, quantized(faces, file.inputs["image"]))
    command = [sys.executable, "-P", str(RUN), str(path), str(len(file.outputs))]
    try:
        done = run(command, SECONDS, input=given.getvalue())
    except subprocess.TimeoutExpired:
        return Runtime(runs=False, reason=f"no answer within {SECONDS} seconds")
    printed = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        return Runtime(runs=False, reason=_complaint(printed, done.returncode))
    arena = re.search(r"Arena allocation total (\d+) bytes", printed)
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as stored:
        answers = {
            head: dequantized(stored[f"arr_{place}"], file.outputs[head])
            for head, place in file.places.items()
        }
    found = compared(answers, Runner(file, kernels="reference")(faces))
    return found.model_copy(update={"arena_bytes": int(arena[1]) if arena else None})


def _complaint(printed: str, status: int) -> str:
    """The first line that Micro itself printed; Python's traceback tells less."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Traceback", "File "))]
    return re.sub(r"^tensorflow/\S+ ", "", told[0]) if told else f"it ended with status {status}"
