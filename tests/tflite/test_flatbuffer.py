from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.core.errors import PocketfaceError
from pocketface.tflite.flatbuffer import parse, serialize

INT8 = Path(__file__).parents[2] / "weights/expression_compact/int8/model.tflite"


def per_channel(file: bytes) -> list[np.ndarray]:
    """The zero points of every tensor that has several."""
    tensors = [tensor for graph in parse(file).subgraphs for tensor in graph.tensors]
    points = [tensor.quantization.zeroPoint for tensor in tensors if tensor.quantization is not None]
    return [np.asarray(point) for point in points if point is not None and len(point) > 1]


def answer(file: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=file)
    interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]
    noise = np.random.default_rng(1).integers(0, 256, image["shape"]).astype(image["dtype"])
    interpreter.set_tensor(image["index"], noise)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_zero_points_are_written_once_and_nothing_else_changes() -> None:
    file = INT8.read_bytes()
    written = serialize(parse(file))
    apart = parse(file)
    numbered = [tensor for tensor in apart.subgraphs[0].tensors if tensor.quantization is not None]
    for number, tensor in enumerate(numbered):
        if tensor.quantization.zeroPoint is not None:
            tensor.quantization.zeroPoint = tensor.quantization.zeroPoint + number
    zeros = sum(point.nbytes for point in per_channel(file))
    assert len(serialize(apart)) - len(written) > 0.7 * zeros > 5_000
    assert serialize(parse(written)) == written
    for was, now in zip(per_channel(file), per_channel(written), strict=True):
        np.testing.assert_array_equal(now, was)
    np.testing.assert_array_equal(answer(written), answer(file))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-128, 127), min_size=3, max_size=3))
def test_points_that_differ_stay_apart(points: list[int]) -> None:
    model = parse(INT8.read_bytes())
    tensors = [
        tensor
        for tensor in model.subgraphs[0].tensors
        if tensor.quantization is not None
        and tensor.quantization.zeroPoint is not None
        and len(tensor.quantization.zeroPoint) > 1
    ][:3]
    for tensor, point in zip(tensors, points, strict=True):
        tensor.quantization.zeroPoint = np.full(len(tensor.quantization.zeroPoint), point, np.int64)
    # Parsed without the interpreter, which takes zero points of weights for granted.
    from ai_edge_litert.tools import flatbuffer_utils

    read = flatbuffer_utils.read_model_from_bytearray(bytearray(serialize(model)))
    by_name = {tensor.name: tensor for tensor in read.subgraphs[0].tensors}
    for tensor, point in zip(tensors, points, strict=True):
        assert set(by_name[tensor.name].quantization.zeroPoint) == {point}


@pytest.mark.parametrize("file", [b"", b"1234TFL2", b"1234TFL3" + bytes(40)])
def test_what_is_no_model_is_refused(file: bytes) -> None:
    with pytest.raises(PocketfaceError, match="not a TFLite file"):
        parse(file)
