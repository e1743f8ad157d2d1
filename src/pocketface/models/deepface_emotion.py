"""`deepface_emotion`: the expression network of deepface, 1,485,831 parameters with its seven classes.

For grey 48x48 faces, trained on FER2013: S. I. Serengil, "Facial expression recognition with Keras", 2018.
NXP's page on this network says 23,497,424 parameters, which do not fit its layers.
"""

import keras
from keras import layers


def features(image: keras.KerasTensor, dropout: float = 0.2) -> keras.KerasTensor:
    """Raw pixels `[N, H, W, C]` to features `[N, 1024]`.

    Args:
        image: 0..255; a side of at least 42.
        dropout: after each of the two dense layers.
    """
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(64, 5, activation="relu")(x)
    x = layers.MaxPooling2D(5, strides=2)(x)
    for width in (64, 128):
        x = layers.Conv2D(width, 3, activation="relu")(x)
        x = layers.Conv2D(width, 3, activation="relu")(x)
        x = layers.AveragePooling2D(3, strides=2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(1024, activation="relu")(x)
        x = layers.Dropout(dropout)(x)
    return x
