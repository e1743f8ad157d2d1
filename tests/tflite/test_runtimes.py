import numpy as np

from pocketface.tflite import runtimes
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.runtimes import BUILTIN, XNNPACK

FACES = np.full((2, 48, 48, 3), 100, np.uint8)
FACES[1] //= 2


def test_a_plain_model_runs_with_all_kernels(colour_model) -> None:
    found = runtimes.check(TFLiteFile.read(colour_model), FACES)
    assert set(found) == {BUILTIN, XNNPACK} and all(runtime.runs for runtime in found.values()), found


def test_a_damaged_file_runs_nowhere_and_says_why(colour_model) -> None:
    found = runtimes.check(TFLiteFile(colour_model.read_bytes()[:600]), FACES)
    assert not any(runtime.runs for runtime in found.values())
    assert "not a runnable TFLite model" in found[XNNPACK].reason
    assert "model.tflite" not in found[BUILTIN].reason


def test_other_answers_than_the_reference_are_no_running() -> None:
    expected = {"age": np.array([40.0])}
    assert runtimes.compared({"age": np.array([41.0])}, expected).runs
    assert runtimes.compared({"age": np.array([90.0])}, expected).reason == "runs, but answers age 50 off"
    assert not runtimes.compared({"age": np.array([np.nan])}, expected).runs
