"""`dlib_gender`: the gender network of dlib's model collection, 131,154 parameters with its head.

For 32x32 RGB faces: Cydral Technology, dlib-models, CC0. Every affine layer and factor of dlib is part of the
layer beside it here.
"""

import keras
from keras import layers

from pocketface.layers.backbones import as_dlib


def features(image: keras.KerasTensor) -> keras.KerasTensor:
    """Raw RGB pixels `[N, H, W, 3]` to features `[N, 16]`.

    Args:
        image: 0..255; published weights are for a side of 32.
    """
    x = as_dlib(image)
    for width in (32, 64):
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.AveragePooling2D(2)(x)
    return layers.Dense(16, activation="relu")(layers.Flatten()(x))
