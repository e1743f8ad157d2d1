"""`facenet`: the tiny attribute network of the FaceNet report, for grey 36x36 faces.

I. Oussaid, "Face Attributes Detection using Multi-task Deep Learning", internship report. With its six heads
and choices, the defaults, it has 21,732 parameters, 21,660 of them trainable; *FaceNet bis* is the same
without `Male`. The report's 43,282 "floating point operations" are about twice its parameters; a face takes
254,208 multiply-adds.
"""

import keras
from keras import layers


def features(image: keras.KerasTensor, f1: int = 4, f2: int = 16, d: int = 16) -> keras.KerasTensor:
    """Raw pixels `[N, H, W, C]` to features `[N, d]`.

    Args:
        image: 0..255.
        f1, f2: filters of the two convolutions.
        d: units of the dense layer.
    """
    x = layers.Rescaling(1 / 255)(image)
    for filters in (f1, f2):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(d)(layers.Flatten()(x))
    return layers.ReLU()(layers.BatchNormalization()(x))
