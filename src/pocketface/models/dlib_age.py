"""`dlib_age`: the age network of dlib's model collection, 2,686,243 parameters with its head.

For 64x64 RGB faces: a residual network of ten layers (He and others, 2016) that ends in the probabilities of
81 ages, whose mean is its head `age`; Cydral Technology, dlib-models, CC0. Every affine layer of dlib is part
of its convolution here. Pixels are seen less the mean, over 256, as by dlib's `input_rgb_image`.
"""

import keras
from keras import layers, ops

from pocketface.layers.backbones import as_dlib

AGES = 81


def features(image: keras.KerasTensor) -> keras.KerasTensor:
    """Raw RGB pixels `[N, H, W, 3]` to the probabilities `[N, 81]` of the ages.

    Args:
        image: 0..255; published weights are for a side of 64.
    """
    x = layers.Conv2D(64, 7, strides=2, activation="relu")(as_dlib(image))
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = _block(x, 64)
    for width in (128, 256):
        x = _block(_halving_block(x, width), width)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(AGES, activation="softmax", name="ages")(x)


def _block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    own = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    own = layers.Conv2D(width, 3, padding="same")(own)
    return layers.ReLU()(layers.Add()([own, x]))


def _halving_block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """The shortcut is pooled, and gets channels of zeros; a smaller map gets rows and columns of zeros."""
    own = layers.Conv2D(width, 3, strides=2, activation="relu")(x)
    own = layers.Conv2D(width, 3, padding="same")(own)
    shortcut = layers.AveragePooling2D(2)(x)
    missing = shortcut.shape[1] - own.shape[1]
    if missing:
        own = layers.ZeroPadding2D(((0, missing), (0, missing)))(own)
    shortcut = ops.pad(shortcut, [[0, 0], [0, 0], [0, 0], [0, width - shortcut.shape[-1]]])
    return layers.ReLU()(layers.Add()([own, shortcut]))
