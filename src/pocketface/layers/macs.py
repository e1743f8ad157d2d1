"""How large a model is, and how much work."""

import math
from typing import Any

import keras
from keras.layers import Conv2D, DepthwiseConv2D, SeparableConv2D

CONVOLUTIONS = Conv2D, DepthwiseConv2D, SeparableConv2D


def counted(model: keras.Model) -> dict[str, Any]:
    """What a card counts of a model: all `parameters`, `trainable_parameters`, and `macs`."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return {"parameters": model.count_params(), "trainable_parameters": trainable, "macs": macs(model)}


def macs(model: keras.Model) -> int:
    """Multiply-accumulate operations for one face, in the kernels of convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        kernels = [w for w in layer.weights if w.name.endswith("kernel")]
        positions = math.prod(layer.output.shape[1:3]) if isinstance(layer, CONVOLUTIONS) else 1
        total += positions * sum(math.prod(kernel.shape) for kernel in kernels)
    return total
