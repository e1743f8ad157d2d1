"""`deepface_vgg`: the VGG-Face descriptor under deepface's age and gender models.

For 224x224 RGB faces, 134,260,544 parameters before the heads; with `options: {age: expected}` its age head
is deepface's. Parkhi, Vedaldi, Zisserman: Deep Face Recognition, BMVC 2015; with convolutions in place of
dense layers, as deepface's `VGGFace.base_model`.
"""

import keras
from keras import layers

from pocketface.core.errors import PocketfaceError
from pocketface.layers.backbones import to_bgr

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Filters and convolutions between two poolings."""
WIDE = 4096
"""Filters of the two layers behind them."""


def features(image: keras.KerasTensor, dropout: float = 0.5) -> keras.KerasTensor:
    """Raw RGB pixels `[N, 224, 224, 3]`, 0..255, to features `[N, 4096]`; another shape is a
    `PocketfaceError`.

    Args:
        image: the pixels.
        dropout: after each of the two wide layers.
    """
    if tuple(image.shape[1:]) != (224, 224, 3):
        raise PocketfaceError(
            f"deepface_vgg sees 224x224 RGB only; set input.size 224 and channels 3, not {image.shape[1:]}"
        )
    x = layers.Rescaling(1 / 255)(to_bgr(image))
    for width, depth in STAGES:
        for _ in range(depth):
            x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(dropout)(layers.Conv2D(WIDE, 7, activation="relu")(x))
    x = layers.Dropout(dropout)(layers.Conv2D(WIDE, 1, activation="relu")(x))
    return layers.Flatten()(x)
