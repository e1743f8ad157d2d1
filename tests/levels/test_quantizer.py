"""What the quantizer prints."""

import keras
import numpy as np

from pocketface.levels import LEVELS
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
