"""A file that begins with any steps on the channels answers as before, and begins with one convolution."""

from functools import lru_cache

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.levels.ranges import measure
from pocketface.tflite.builder import Builder
from pocketface.tflite.file import TFLiteFile, text
from pocketface.tflite.pixels import merged

SIDE = 6
PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
NUMBERS = st.floats(-20, 20, width=32).filter(lambda number: abs(number) > 0.1)
STEPS = st.one_of(
    st.tuples(st.just("STRIDED_SLICE"), st.lists(st.integers(0, 2), min_size=3, max_size=3)),
    st.tuples(
        st.sampled_from(("ADD", "SUB", "MUL", "DIV")),
        st.one_of(NUMBERS, st.lists(NUMBERS, min_size=3, max_size=3)),
    ),
)


@lru_cache(maxsize=1)
def plain() -> TFLiteFile:
    """A picture, a padded convolution, two answers."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    seen = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(seen)
    return to_tflite(keras.Model(image, {"answer": keras.layers.Dense(2)(pooled)}))


def after(steps: list[tuple]) -> TFLiteFile:
    """That file, which sees the picture after some steps on its channels."""
    model = plain().copy()
    builder, graph, added = Builder(model), model.subgraphs[0], []

    def step(kind: str, inputs: list[int], channels: int, options: object) -> int:
        output = builder.tensor(f"step{len(added)}", (1, SIDE, SIDE, channels))
        added.append(builder.operator(kind, inputs, output, options))
        return output

    seen = image = int(graph.inputs[0])
    for kind, numbers in steps:
        if kind == "STRIDED_SLICE":
            options = schema.StridedSliceOptionsT(beginMask=7, endMask=7)
            limits = [[(0, 0, 0, first), (0, 0, 0, first + 1), (1, 1, 1, 1)] for first in numbers]
            constants = [
                [builder.constant(f"limit{len(graph.tensors)}", np.array(each, np.int32)) for each in one]
                for one in limits
            ]
            parts = [step(kind, [seen, *one], 1, options) for one in constants]
            seen = step("CONCATENATION", parts, 3, schema.ConcatenationOptionsT(axis=3))
        else:
            options = getattr(schema, f"{kind.capitalize()}OptionsT")()
            seen = step(
                kind,
                [seen, builder.constant(f"number{len(added)}", np.array(numbers, np.float32))],
                3,
                options,
            )
    for operator in graph.operators:
        operator.inputs = [seen if int(place) == image else place for place in operator.inputs]
    graph.operators = [*added, *graph.operators]
    return TFLiteFile.write(model)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4))
def test_the_answers_stay(steps: list[tuple]) -> None:
    file = after(steps)
    made = merged(file)
    expected, answer = (each.answers(PIXELS)["answer"] for each in (file, made))
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4 * max(1, np.abs(expected).max()))
    whole = [operator.kind for operator in plain().operators]
    kinds = [operator.kind for operator in made.operators]
    assert made is file or kinds == ["CONV_2D", *whole]
    order = np.arange(3)
    for kind, numbers in steps:
        order = order[numbers] if kind == "STRIDED_SLICE" else order
    assert made is not file or (order == np.arange(3)).all()
    names = [text(tensor.name) for tensor in made.model.subgraphs[0].tensors]
    assert made is file or not [name for name in names if name.startswith(("limit", "number"))]


@pytest.mark.parametrize("steps", [[], [("MUL", 1 / 255)], [("MUL", 2.0), ("SUB", [1.0, 1.0, 1.0])]])
def test_what_treats_all_channels_alike_stays(steps: list[tuple]) -> None:
    file = after(steps)
    assert merged(file) is file


def test_a_picture_that_is_seen_in_two_ways_stays() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    ways = [keras.layers.Rescaling(scale)(image) for scale in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])]
    both = keras.layers.Conv2D(2, 1)(ways[0]) + keras.layers.Conv2D(2, 1)(ways[1])
    model = keras.Model(image, {"answer": keras.layers.GlobalAveragePooling2D()(both)})
    file = to_tflite(model)  # which merges
    assert b"pixels" not in {tensor.name for tensor in file.model.subgraphs[0].tensors}
    assert merged(file) is file
    expected = model.predict(PIXELS.astype(np.float32), verbose=0)["answer"]
    np.testing.assert_allclose(file.answers(PIXELS)["answer"], expected, rtol=1e-4, atol=1e-2)


def test_it_is_exact_as_int8() -> None:
    steps = [("STRIDED_SLICE", [2, 1, 0]), ("SUB", [103.9, 116.8, 123.7]), ("DIV", [57.0, 58.0, 59.0])]
    file = after(steps)
    wide = measure(merged(file), PIXELS)
    made = quantize(merged(file), LEVELS["int8"], wide)
    model = made.model
    kernel = next(t for t in model.subgraphs[0].tensors if t.name == b"pixels")
    stored = np.frombuffer(bytes(model.buffers[kernel.buffer].data), np.int8).reshape(3, 3)
    found = stored * np.array(kernel.quantization.scale)[:, None]
    np.testing.assert_allclose(found, np.diag([1 / 57, 1 / 58, 1 / 59])[:, ::-1], rtol=1e-6)
