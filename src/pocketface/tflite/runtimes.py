"""Which runtimes can run a variant, and what TensorFlow Lite Micro needs for it.

    runs = check(Path("variants/expression/int8/model.tflite"), faces)
    runs["TFLite Micro"].arena_bytes       # 100416

A runtime counts as running a file only if it answers as LiteRT does: a file can be loaded, run, and be
misread without a word. XNNPACK is compared with LiteRT's own kernels. Micro, whose kernels are written after
LiteRT's plain reference kernels, is compared with those: the own ones round otherwise, see docs/deploy.md.
"""

import io
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pocketface.cards import Port, Runtime
from pocketface.core.errors import PocketfaceError
from pocketface.tflite import audit, flatbuffer
from pocketface.tflite.run import Kernels, Runner, dequantized, quantized

XNNPACK, BUILTIN, MICRO = "LiteRT, XNNPACK", "LiteRT, own kernels", "TFLite Micro"

CLOSE = 0.05
"""Share of the largest answer. Kernels round differently."""

NO_MICRO = "tflite-micro is not installed"
MICRO_RUN = Path(__file__).with_name("micro_run.py")
SECONDS = 600

Answers = dict[str, np.ndarray]


def check(file: Path, faces: np.ndarray) -> dict[str, Runtime]:
    """Runs a file everywhere.

    Args:
        file: a `.tflite` file.
        faces: uint8 `[N, H, W, C]`; one tells whether it runs, and equal answers on many that it runs right.

    Returns:
        Runtime -> whether it runs, and why not.
    """
    try:
        own = Runner(file, kernels="own")(faces)
    except PocketfaceError as error:
        reason = _without(file, error)
        return {name: Runtime(runs=False, reason=reason) for name in (BUILTIN, XNNPACK, MICRO)}
    return {
        BUILTIN: Runtime(runs=True, max_difference=0),
        XNNPACK: _xnnpack(file, faces, own),
        MICRO: micro(file, faces),
    }


def micro(file: Path, faces: np.ndarray, kernels: Kernels = "reference") -> Runtime:
    """Runs a file in TensorFlow Lite Micro.

    In a process of its own, which may crash, and whose error stream tells the arena.

    Args:
        file, faces: as `check` takes them.
        kernels: those of LiteRT that it is compared with.
    """
    if find_spec("tflite_micro") is None:
        return Runtime(runs=False, reason=NO_MICRO)
    given, held = io.BytesIO(), audit.read(file.read_bytes())
    np.save(given, quantized(faces, _details(held.inputs["image"])))
    command = [sys.executable, "-P", str(MICRO_RUN), str(file), str(len(held.outputs))]
    try:
        done = subprocess.run(
            command, input=given.getvalue(), capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Runtime(runs=False, reason=f"no answer within {SECONDS} seconds")
    printed = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        return Runtime(runs=False, reason=_complaint(printed, done.returncode))
    arena = re.search(r"Arena allocation total (\d+) bytes", printed)
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as stored:
        answers = {
            head: dequantized(stored[f"arr_{place}"], _details(held.outputs[head]))
            for head, place in _places(file).items()
        }
    compared = _compared(answers, Runner(file, kernels=kernels)(faces))
    return compared.model_copy(update={"arena_bytes": int(arena[1]) if arena else None})


def _xnnpack(file: Path, faces: np.ndarray, reference: Answers) -> Runtime:
    try:
        return _compared(Runner(file)(faces), reference)
    except PocketfaceError as error:
        return Runtime(runs=False, reason=_without(file, error))


def _compared(answers: Answers, reference: Answers) -> Runtime:
    worst = 0.0
    for head, expected in reference.items():
        difference = float(np.abs(answers[head] - expected).max())
        share = difference / max(1.0, float(np.abs(expected).max()))
        if not share <= CLOSE:
            return Runtime(runs=False, reason=f"runs, but answers {head} {difference:.3g} off")
        worst = max(worst, share)
    return Runtime(runs=True, max_difference=worst)


def _complaint(printed: str, status: int) -> str:
    """The first line that Micro itself printed; Python's traceback tells less."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Traceback", "File "))]
    return re.sub(r"^tensorflow/\S+ ", "", told[0]) if told else f"it ended with status {status}"


def _without(file: Path, error: PocketfaceError) -> str:
    return str(error).removeprefix(f"{file}: ")


def _details(port: Port) -> dict:
    """A port as LiteRT tells of it."""
    return {"dtype": np.dtype(port.dtype.lower()), "quantization": (port.scale, port.zero_point)}


def _places(file: Path) -> dict[str, int]:
    """Head -> place of its output; Micro knows outputs by their place only."""
    model = flatbuffer.parse(file.read_bytes())
    places = list(model.subgraphs[0].outputs)
    signature = model.signatureDefs[0]
    return {flatbuffer.text(output.name): places.index(output.tensorIndex) for output in signature.outputs}
