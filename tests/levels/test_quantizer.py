"""What the quantizer prints."""

import keras

from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize


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
