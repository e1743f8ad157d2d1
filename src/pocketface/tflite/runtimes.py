"""Which runtimes can run a variant, and what TensorFlow Lite Micro needs for it.

    runs = check(Path("variants/expression/int8/model.tflite"), face)
    runs["TFLite Micro"].arena_bytes       # 100416

A runtime counts as running a file only if it answers one face as LiteRT's own kernels do: a file can be
loaded, run, and be misread without a word.
"""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pocketface.cards import Runtime
from pocketface.errors import PocketfaceError
from pocketface.tflite import flatbuffer
from pocketface.tflite.run import Runner, dequantized, quantized

XNNPACK, BUILTIN, MICRO = "LiteRT, XNNPACK", "LiteRT, own kernels", "TFLite Micro"

CLOSE = 0.05
"""Share of the largest answer. XNNPACK and the reference kernels round differently."""

NO_MICRO = "tflite-micro is not installed"
MICRO_RUN = Path(__file__).with_name("micro_run.py")
SECONDS = 120


def check(file: Path, face: np.ndarray) -> dict[str, Runtime]:
    """Runs a file on one face everywhere.

    Args:
        file: a `.tflite` file.
        face: uint8 `[H, W, C]`.

    Returns:
        Runtime -> whether it runs, and why not.
    """
    found = {}
    answers: dict[str, dict[str, np.ndarray]] = {}
    for name, delegates in ((BUILTIN, False), (XNNPACK, True)):
        try:
            answers[name] = Runner(file, delegates=delegates).one(face)
            found[name] = _compared(answers[name], answers.get(BUILTIN, answers[name]))
        except PocketfaceError as error:
            found[name] = Runtime(runs=False, reason=str(error).removeprefix(f"{file}: "))
    return found | {MICRO: _micro(file, face, answers.get(BUILTIN))}


def _compared(answers: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> Runtime:
    for head, expected in reference.items():
        difference = float(np.abs(answers[head] - expected).max())
        if not difference <= CLOSE * max(1.0, float(np.abs(expected).max())):
            return Runtime(runs=False, reason=f"runs, but answers {head} {difference:.3g} off")
    return Runtime(runs=True)


def _micro(file: Path, face: np.ndarray, reference: dict[str, np.ndarray] | None) -> Runtime:
    """In a process of its own, which may crash, and whose error stream tells the arena."""
    if find_spec("tflite_micro") is None:
        return Runtime(runs=False, reason=NO_MICRO)
    if reference is None:
        return Runtime(runs=False, reason="LiteRT does not run it either")
    pixels = quantized(face[None], Runner(file, delegates=False).port)
    command = [sys.executable, "-P", str(MICRO_RUN), str(file)]
    given = json.dumps({"dtype": pixels.dtype.name, "values": pixels.tolist()}).encode()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Runtime(runs=False, reason=f"no answer within {SECONDS} seconds")
    printed = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        return Runtime(runs=False, reason=_complaint(printed, done.returncode))
    arena = re.search(r"Arena allocation total (\d+) bytes", printed)
    compared = _compared(_named(file, json.loads(done.stdout)), reference)
    return compared.model_copy(update={"arena_bytes": int(arena[1]) if arena else None})


def _complaint(printed: str, status: int) -> str:
    """The first line that Micro itself printed; Python's traceback tells less."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Traceback", "File "))]
    return re.sub(r"^tensorflow/\S+ ", "", told[0]) if told else f"it ended with status {status}"


def _named(file: Path, outputs: list[dict]) -> dict[str, np.ndarray]:
    """Head -> answer; Micro knows outputs by their place only."""
    model = flatbuffer.parse(file.read_bytes())
    places = list(model.subgraphs[0].outputs)
    return {
        flatbuffer.text(output.name): _answer(outputs[places.index(output.tensorIndex)])
        for output in model.signatureDefs[0].outputs
    }


def _answer(output: dict) -> np.ndarray:
    port = {"dtype": np.dtype(output["dtype"]), "quantization": (output["scale"], output["zero_point"])}
    return dequantized(np.array(output["values"][0], port["dtype"]), port)
