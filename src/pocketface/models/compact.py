"""`compact`: a small plain CNN that trains in minutes on two cores.

VGG (Simonyan and Zisserman, 2015) with batch normalisation, global average pooling and dropout.
"""

from collections.abc import Sequence

import keras
from keras import layers


def features(
    image: keras.KerasTensor,
    widths: Sequence[int] = (16, 32, 64, 128),
    depths: Sequence[int] = (1, 1, 2, 2),
    dropout: float = 0.3,
) -> keras.KerasTensor:
    """Raw pixels `[N, H, W, C]` to features `[N, widths[-1]]`.

    Args:
        image: 0..255.
        widths: filters of each stage.
        depths: convolutions of each stage.
        dropout: share of the features dropped in training.
    """
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if stage:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(depth):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.95)(x)
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dropout(dropout)(x)
