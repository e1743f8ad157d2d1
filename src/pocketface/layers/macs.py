"""Counting the work of a model."""

import math

import keras


def macs(model: keras.Model) -> int:
    """Multiply-accumulate operations for one face, in convolutions and dense layers.

    Biases, normalisation, activations and pooling are left out, as is usual.
    """
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_macs(layer: keras.Layer) -> int:
    if isinstance(layer, keras.Model):
        return macs(layer)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.SeparableConv2D):
        positions = math.prod(layer.output.shape[1:3])
        return positions * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))
    if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    return 0
