import numpy as np
import pytest

from pocketface.micro import interpreter

FACES = np.full((2, 48, 48, 3), 100, np.uint8)
FACES[1] //= 2


def test_micro_answers_as_the_reference_kernels_and_tells_its_memory(colour_model) -> None:
    pytest.importorskip("tflite_micro")
    found = interpreter.micro(colour_model, FACES)
    assert found.runs, found
    assert found.max_difference < 1e-6
    assert found.arena_bytes >= 48 * 48 * 3 * 4


def test_without_micro_the_reason_says_so(colour_model, monkeypatch) -> None:
    monkeypatch.setattr(interpreter, "find_spec", lambda name: None)
    assert interpreter.micro(colour_model, FACES).reason == interpreter.NO_MICRO
