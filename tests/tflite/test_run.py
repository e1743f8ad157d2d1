import numpy as np
import pytest

from pocketface.cards import Port
from pocketface.core.errors import PocketfaceError
from pocketface.tflite.run import RESOLVERS, Runner, dequantized, quantized

PIXELS = np.array([[0, 1, 128, 255]], np.uint8)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "stored"),
    [
        ("FLOAT32", None, None, [0, 1, 128, 255]),
        ("UINT8", 1.0, 0, [0, 1, 128, 255]),
        ("INT8", 1.0, -128, [-128, -127, 0, 127]),
        ("INT8", 2.0, -128, [-128, -128, -64, 0]),
        ("INT8", 0.5, -128, [-128, -126, 127, 127]),
    ],
)
def test_pixels_go_in_by_the_files_own_scale(dtype, scale, zero_point, stored) -> None:
    given = quantized(PIXELS, Port(dtype=dtype, scale=scale, zero_point=zero_point))
    assert given.dtype == dtype.lower()
    assert given[0].tolist() == stored


def test_meaning_comes_out_by_the_files_own_scale() -> None:
    port = Port(dtype="INT8", scale=0.5, zero_point=-20)
    assert dequantized(np.array([-20, 0, 100], np.int8), port).tolist() == [0, 10, 60]


def test_all_kernels_answer(colour_model) -> None:
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 102
    for kernels in RESOLVERS:
        assert Runner(colour_model, kernels=kernels).one(red)["age"] == pytest.approx(40, abs=1e-3)


def test_a_file_that_is_no_model_and_a_wrong_shape_are_errors(tmp_path, colour_model) -> None:
    for content in (b"", b"\x1c\x00\x00\x00TFL3" + bytes(40), colour_model.read_bytes()[:700]):
        (tmp_path / "model.tflite").write_bytes(content)
        with pytest.raises(PocketfaceError, match=r"model\.tflite: (not a|a damaged|not a runnable) TFLite"):
            Runner(tmp_path / "model.tflite")
    with pytest.raises(PocketfaceError, match=r"wants faces of \(48, 48, 3\), was given \(48, 48, 1\)"):
        Runner(colour_model)(np.zeros((1, 48, 48, 1), np.uint8))
