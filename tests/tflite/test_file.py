from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.core.errors import PocketfaceError
from pocketface.levels.converter import to_tflite
from pocketface.tflite.file import TFLiteFile, store, values
from pocketface.tflite.run import Runner

INT8 = Path(__file__).parents[2] / "weights/expression_compact/int8/model.tflite"


def per_channel(model: schema.ModelT) -> dict[bytes, schema.QuantizationParametersT]:
    """Name -> parameters of every tensor that has several zero points."""
    tensors = [tensor for tensor in model.subgraphs[0].tensors if tensor.quantization is not None]
    return {t.name: t.quantization for t in tensors if np.size(t.quantization.zeroPoint) > 1}


def test_zero_points_are_written_once_and_nothing_else_changes() -> None:
    file = TFLiteFile.read(INT8)
    written = TFLiteFile.write(file.copy())
    apart, points = file.copy(), per_channel(file.model)
    for number, quantization in enumerate(per_channel(apart).values()):
        quantization.zeroPoint = quantization.zeroPoint + number
    zeros = sum(each.zeroPoint.nbytes for each in points.values())
    assert len(TFLiteFile.write(apart).content) - len(written.content) > 0.7 * zeros > 5_000
    assert TFLiteFile.write(written.copy()) == written
    for name, now in per_channel(written.model).items():
        np.testing.assert_array_equal(now.zeroPoint, points.pop(name).zeroPoint)
    assert not points
    noise = np.random.default_rng(1).integers(0, 256, (1, *Runner(file).input_shape), np.uint8)
    for head, answers in file.answers(noise).items():
        np.testing.assert_array_equal(written.answers(noise)[head], answers)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-128, 127), min_size=3, max_size=3))
def test_points_that_differ_stay_apart(points: list[int]) -> None:
    model = TFLiteFile.read(INT8).copy()
    several = dict(zip(per_channel(model), points, strict=False))
    for name, point in several.items():
        quantization = per_channel(model)[name]
        quantization.zeroPoint = np.full_like(quantization.zeroPoint, point)
    # Parsed without the interpreter, which takes zero points of weights for granted.
    read = flatbuffer_utils.read_model_from_bytearray(bytearray(TFLiteFile.write(model).content))
    found = per_channel(read)
    assert {name: set(found[name].zeroPoint) for name in several} == {
        name: {n} for name, n in several.items()
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"TFL3",
        b"1234TFL2",
        b"1234TFL3" + bytes(40),
        b"\x00" * 64,
        b"\x1c\x00\x00\x00TFL2" + b"\x00" * 64,
    ],
)
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(PocketfaceError, match="not a TFLite file"):
        TFLiteFile(content).copy()


def test_a_truncated_model_is_refused(colour_model) -> None:
    whole = colour_model.read_bytes()
    for length in range(8, len(whole) - 1, len(whole) // 7):
        with pytest.raises(PocketfaceError, match="not a TFLite file"):
            TFLiteFile(whole[:length]).copy()


def test_a_file_tells_its_ports_and_operators(colour_model) -> None:
    held = TFLiteFile.read(colour_model)
    assert held.inputs["image"].dtype == "FLOAT32"
    assert set(held.outputs) == {"age", "gender", "expression"}
    assert held.kinds["MEAN"] == 1
    assert held.macs == 0


def test_a_file_is_parsed_once_and_a_copy_is_ones_own(colour_model) -> None:
    file = TFLiteFile.read(colour_model)
    assert file.model is file.model
    file.copy().subgraphs[0].tensors[0].name = b"another"
    assert file == TFLiteFile.read(colour_model) and file.image != "another"


def test_what_is_written_again_holds_its_weights_inside(colour_model) -> None:
    again = TFLiteFile.write(TFLiteFile.read(colour_model).copy())
    assert not any(buffer.offset for buffer in again.model.buffers)
    assert TFLiteFile.write(again.copy()) == again


def test_operators_of_an_old_converter_are_named_in_the_new_place(colour_model) -> None:
    file = TFLiteFile.read(colour_model)
    old = file.copy()
    for code in old.operatorCodes:
        code.builtinCode = 0
    written = TFLiteFile.write(old)
    assert [code.builtinCode for code in written.model.operatorCodes] == [
        code.builtinCode for code in file.model.operatorCodes
    ]
    assert written.kinds == file.kinds


@pytest.mark.parametrize("kind", ["INT4", "INT8", "INT32", "FLOAT32"])
def test_values_are_stored_as_they_are_read(kind: str) -> None:
    numbers, tensor, model, buffer = [-7, 7, 1, -1, 3], schema.TensorT(), schema.ModelT(), schema.BufferT()
    tensor.type, tensor.shape, tensor.buffer = getattr(schema.TensorType, kind), [5], 0
    model.buffers = [buffer]
    store(model, tensor, np.array(numbers))
    np.testing.assert_array_equal(values(model, tensor), numbers)
    if kind == "INT4":
        assert buffer.data.tolist() == [0x79, 0xF1, 0x03]


def test_operations_count_at_every_place() -> None:
    """Of rows that a dense layer goes through, and of a transposed convolution."""

    class Rows(keras.layers.Layer):
        def call(self, x):
            rows = tf.reshape(x, [36, 16])
            return tf.reshape(tf.matmul(rows, tf.ones([16, 64])), [1, 6, 6, 64])

    image = keras.Input((6, 6, 16))
    wide = keras.layers.Conv2DTranspose(4, 3, strides=2)(Rows()(image))
    file = to_tflite(keras.Model(image, {"answer": keras.layers.GlobalAveragePooling2D()(wide)}))
    counted = {one.kind: one.macs for one in file.operators if one.macs}
    assert counted == {"FULLY_CONNECTED": 36 * 16 * 64, "TRANSPOSE_CONV": 36 * 3 * 3 * 64 * 4}
