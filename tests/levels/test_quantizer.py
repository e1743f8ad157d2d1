"""What the quantizer prints."""

import keras
import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.levels import LEVELS, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.tflite.file import kind


def test_it_prints_nothing(capfd):
    """LiteRT's quantizer has bars for files of more than a hundred tensors."""
    float32 = to_tflite(keras.Sequential([keras.Input([8]), *(keras.layers.Dense(8) for _ in range(60))]))
    capfd.readouterr()
    quantize(float32, LEVELS["dynamic_int8"])
    assert "%" not in "".join(capfd.readouterr())


def test_a_depthwise_convolution_is_int8_where_others_are_int4():
    """LiteRT has no kernel of it for int4 weights, and a large one must not stay float."""
    image = keras.Input((8, 8, 3))
    wide = keras.layers.Conv2D(128, 3)(image)
    model = keras.Model(image, {"answer": keras.layers.DepthwiseConv2D(3)(wide)})
    made = quantize(to_tflite(model), LEVELS["int4_weights"])
    LEVELS["int4_weights"].check(made)
    assert sorted(made.large_weight_dtypes) == ["INT4", "INT8"]


def test_a_bias_is_float16_where_the_weights_are():
    """LiteRT 1.1 to 1.3 refuse a depthwise convolution of which only the weights are."""
    image = keras.Input((8, 8, 3))
    wide = keras.layers.DepthwiseConv2D(3)(keras.layers.Conv2D(128, 3)(image))
    small = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(wide))
    float32 = to_tflite(keras.Model(image, {"answer": keras.layers.Dense(3)(small)}))
    made = quantize(float32, LEVELS["float16"])
    model = made.model
    graph = model.subgraphs[0]
    halved = {int(one.outputs[0]) for one in graph.operators if kind(model, one) == "DEQUANTIZE"}
    pairs = [
        {int(place) in halved for place in one.inputs[1:3] if place >= 0}
        for one in graph.operators
        if len(one.inputs) == 3
    ]
    assert pairs.count({True}) >= 2 and {True, False} not in pairs
    assert set(made.weight_dtypes) == {"FLOAT16", "INT32"}
    LEVELS["float16"].check(made)
    faces = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    np.testing.assert_allclose(
        made.answers(faces)["answer"], float32.answers(faces)["answer"], rtol=0.01, atol=0.05
    )


FACES = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8)


def with_map(change=lambda kernel, bias: [kernel, bias]):
    """A picture, and the map that a convolution makes of it; `change` is made to its weights."""
    keras.utils.set_random_seed(1)
    image, layer = keras.Input((8, 8, 3), name="image"), keras.layers.Conv2D(16, 3, activation="relu")
    x = layer(keras.layers.Rescaling(1 / 255)(image))
    layer.set_weights(change(*layer.get_weights()))
    return image, x


def off(file, float32) -> dict[str, float]:
    """How far answers are from those of float32, as a share of the largest."""
    expected, actual = float32.answers(FACES), file.answers(FACES)
    return {head: np.abs(actual[head] - of).max() / np.abs(of).max() for head, of in expected.items()}


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_bias_stays_where_the_weights_are_next_to_nothing(per_channel) -> None:
    """Of channels that were pruned, or died: their bias does not fit into 32 bits of so small steps."""

    def pruned(kernel, bias):
        kernel[..., : 8 if per_channel else 16] = 1e-20
        bias[:8] = np.arange(8) / 2
        return [kernel, bias]

    image, x = with_map(pruned)
    answer = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    float32 = to_tflite(keras.Model(image, {"answer": answer}))
    made = quantize(float32, LEVELS["int8"], ranges.measure(float32, FACES), per_channel)
    assert off(made, float32)["answer"] < 0.05


def test_a_network_with_a_dead_map_runs_at_int8() -> None:
    image, x = with_map(lambda kernel, bias: [kernel, bias - 100])
    alive = keras.layers.Conv2D(8, 3, bias_initializer="random_normal")(x)
    answer = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(alive))
    float32 = to_tflite(keras.Model(image, {"answer": answer}))
    for method in ("minmax", "percentile", "mse"):
        made = quantize(float32, LEVELS["int8"], ranges.measure(float32, FACES, method))
        assert off(made, float32)["answer"] < 0.05


@pytest.mark.parametrize("level", ["int8", "int8_io"])
def test_answers_that_others_read_and_those_of_two_heads_are_right(level) -> None:
    image, x = with_map()
    scores = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x))
    moved = keras.layers.Rescaling(5.0, 2.0)(scores)
    heads = {"scores": scores, "again": scores, "moved": moved, "sum": keras.layers.Add()([scores, moved])}
    float32 = to_tflite(keras.Model(image, heads | {"shares": keras.layers.Softmax()(scores)}))
    made = quantize(float32, LEVELS[level], ranges.measure(float32, FACES))
    assert max(off(made, float32).values()) < 0.05
    names = [operator.name for operator in float32.operators]
    plain = quantize(float32, LEVELS["mixed_int8"], ranges.measure(float32, FACES), kept=names)
    assert set(plain.activation_dtypes) == {"FLOAT32"} and max(off(plain, float32).values()) < 1e-5


def test_an_operator_with_two_outputs_is_kept_in_float() -> None:
    image, x = with_map()
    halves = keras.ops.split(x, 2, axis=3)
    answer = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(keras.layers.Subtract()(halves)))
    float32 = to_tflite(keras.Model(image, {"answer": answer}))
    names = [operator.name for operator in float32.operators]
    made = quantize(float32, LEVELS["mixed_int8"], ranges.measure(float32, FACES), kept=names)
    assert set(made.activation_dtypes) == {"FLOAT32"}


def test_a_transposed_convolution_is_made_float16() -> None:
    image, x = with_map()
    wide = keras.layers.Conv2DTranspose(16, 3, strides=2, bias_initializer="random_normal")(x)
    answer = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(wide))
    float32 = to_tflite(keras.Model(image, {"answer": answer}))
    made = quantize(float32, LEVELS["float16"])
    LEVELS["float16"].check(made)
    assert off(made, float32)["answer"] < 0.01


def test_the_converter_gives_the_picture_its_whole_range() -> None:
    """Also where it is calibrated on dark pictures: a brighter one must not be cut off."""
    image, x = with_map()
    answer = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(keras.layers.LeakyReLU(0.2)(x)))
    model = keras.Model(image, {"answer": answer})
    port = to_tflite(model, LEVELS["int8_io"], FACES // 3).ports["image"]
    assert (port.scale, port.zero_point) == (1.0, -128)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_numbers_beyond_float16_are_refused() -> None:
    image, x = with_map(lambda kernel, bias: [kernel, bias + 1e5])
    wide = keras.layers.Conv2D(16, 3)(x)
    model = keras.Model(image, {"answer": keras.layers.GlobalAveragePooling2D()(wide)})
    made = quantize(to_tflite(model), LEVELS["float16"])
    with pytest.raises(PocketfaceError, match="float16 cannot hold"):
        LEVELS["float16"].check(made)
