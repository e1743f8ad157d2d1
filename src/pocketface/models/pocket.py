"""`pocket`: our own network for many heads at once, half a million parameters.

Inverted residual blocks (MobileNetV2, Sandler and others, 2018), the early stages fused into plain 3x3
convolutions (EfficientNetV2, Tan and Le, 2021): depthwise kernels on large, thin maps are slow on a CPU and
lose most to integer weights. ReLU6, no squeeze-and-excitation, no strided 1x1 convolutions.
"""

from collections.abc import Sequence

import keras
from keras import layers


def features(
    image: keras.KerasTensor,
    stem: int = 16,
    widths: Sequence[int] = (24, 40, 80, 128),
    depths: Sequence[int] = (1, 2, 3, 2),
    fused: int = 2,
    expansion: int = 4,
    units: int = 256,
    dropout: float = 0.2,
) -> keras.KerasTensor:
    """Raw pixels `[N, H, W, C]` to features `[N, units]`.

    Args:
        image: 0..255.
        stem: filters of the first convolution, which halves the picture.
        widths: channels of each stage; every stage but the first halves the map.
        depths: blocks of each stage.
        fused: how many stages, from the first, have fused blocks.
        expansion: how many times wider a block is inside.
        units: filters of the last 1x1 convolution, averaged over the map.
        dropout: share of the features dropped in training.
    """
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = _normalised(layers.Conv2D(stem, 3, strides=2, padding="same", use_bias=False)(x))
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            strides = 2 if stage and not block else 1
            inner = _fused if stage < fused else _depthwise
            x = _block(x, width, inner(x, expansion * x.shape[-1], strides), strides)
    x = _normalised(layers.Conv2D(units, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dropout(dropout)(x)


def _block(x: keras.KerasTensor, width: int, expanded: keras.KerasTensor, strides: int) -> keras.KerasTensor:
    """Projects the expanded map to `width` channels; adds the input where it has the same shape."""
    y = _normalised(layers.Conv2D(width, 1, use_bias=False)(expanded), activate=False)
    return layers.Add()([x, y]) if strides == 1 and x.shape[-1] == width else y


def _fused(x: keras.KerasTensor, width: int, strides: int) -> keras.KerasTensor:
    return _normalised(layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x))


def _depthwise(x: keras.KerasTensor, width: int, strides: int) -> keras.KerasTensor:
    x = _normalised(layers.Conv2D(width, 1, use_bias=False)(x))
    return _normalised(layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x))


def _normalised(x: keras.KerasTensor, activate: bool = True) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU(6.0)(x) if activate else x
