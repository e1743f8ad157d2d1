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
