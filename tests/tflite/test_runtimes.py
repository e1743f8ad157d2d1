import numpy as np
import pytest

from pocketface.tflite import flatbuffer, runtimes
from pocketface.tflite.runtimes import BUILTIN, MICRO, XNNPACK

FACES = np.full((2, 48, 48, 3), 100, np.uint8)
FACES[1] //= 2


def test_a_plain_model_runs_everywhere_and_micro_tells_its_memory(colour_model) -> None:
    pytest.importorskip("tflite_micro")
    found = runtimes.check(colour_model, FACES)
    assert all(runtime.runs for runtime in found.values()), found
    assert found[MICRO].max_difference < 1e-6
    assert found[MICRO].arena_bytes >= 48 * 48 * 3 * 4


def test_without_micro_the_reason_says_so(colour_model, monkeypatch) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None)
    assert runtimes.check(colour_model, FACES)[MICRO].reason == runtimes.NO_MICRO


def test_a_damaged_file_runs_nowhere_and_says_why(tmp_path, colour_model) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(colour_model.read_bytes()[:600])
    found = runtimes.check(file, FACES)
    assert not any(runtime.runs for runtime in found.values())
    assert "not a runnable TFLite model" in found[XNNPACK].reason
    assert str(file) not in found[BUILTIN].reason


def test_other_answers_than_the_reference_are_no_running() -> None:
    expected = {"age": np.array([40.0])}
    assert runtimes._compared({"age": np.array([41.0])}, expected).runs
    assert runtimes._compared({"age": np.array([90.0])}, expected).reason == "runs, but answers age 50 off"
    assert not runtimes._compared({"age": np.array([np.nan])}, expected).runs


def test_what_is_written_again_holds_its_weights_inside(colour_model) -> None:
    again = flatbuffer.serialize(flatbuffer.parse(colour_model.read_bytes()))
    assert not any(buffer.offset for buffer in flatbuffer.parse(again).buffers)
    assert flatbuffer.serialize(flatbuffer.parse(again)) == again
