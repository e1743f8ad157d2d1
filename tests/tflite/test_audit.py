from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.core.errors import PocketfaceError
from pocketface.tflite import audit
from pocketface.tflite.levels import LEVELS


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x00" * 64, b"\x1c\x00\x00\x00TFL2" + b"\x00" * 64])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(PocketfaceError, match="not a TFLite file"):
        audit.read(content)


def test_a_truncated_model_is_refused(colour_model) -> None:
    whole = colour_model.read_bytes()
    for length in range(8, len(whole) - 1, len(whole) // 7):
        with pytest.raises(PocketfaceError, match="not a TFLite file"):
            audit.read(whole[:length])


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_behind_the_identifier_are_refused(tail: bytes) -> None:
    with pytest.raises(PocketfaceError, match="not a TFLite file"):
        audit.read(b"\x1c\x00\x00\x00TFL3" + tail)


def test_a_file_tells_its_ports_and_operators(colour_model) -> None:
    held = audit.read(colour_model.read_bytes())
    assert held.inputs["image"].dtype == "FLOAT32"
    assert set(held.outputs) == {"age", "gender", "expression"}
    assert held.operators["MEAN"] == 1
    assert held.macs == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activations": ("INT8",)}, r"should have INT8 activations, the file has \['FLOAT32'\]"),
        ({"input": "UINT8"}, r"should have UINT8 inputs, the file has \['FLOAT32'\]"),
        ({"output": "INT8"}, r"should have INT8 outputs, the file has \['FLOAT32'\]"),
        ({"activations": ("INT8", "FLOAT32")}, "should have INT8 and FLOAT32 activations"),
    ],
)
def test_a_file_of_another_level_is_refused(colour_model, change: dict, message: str) -> None:
    held = audit.read(colour_model.read_bytes())
    audit.check(held, LEVELS["float32"])
    with pytest.raises(PocketfaceError, match=message):
        audit.check(held, replace(LEVELS["float32"], **change))
