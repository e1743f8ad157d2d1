"""Counting the work of a model."""

import math

import keras
from keras.layers import Conv2D, DepthwiseConv2D, SeparableConv2D

CONVOLUTIONS = Conv2D, DepthwiseConv2D, SeparableConv2D


def macs(model: keras.Model) -> int:
    """Multiply-accumulate operations for one face, in the kernels of convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        kernels = [w for w in layer.weights if w.name.endswith("kernel")]
        positions = math.prod(layer.output.shape[1:3]) if isinstance(layer, CONVOLUTIONS) else 1
        total += positions * sum(math.prod(kernel.shape) for kernel in kernels)
    return total
