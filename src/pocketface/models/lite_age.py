"""`lite_age`: the age network of the UTKFace project, plain or with separable convolutions ("lite").

For 200x200 RGB faces: shubham0204, Age-Gender_Estimation_TF-Android. Unlike there, where dense layers have an
L2 penalty of 0.1, all kernels have the same small one.
"""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers


def features(
    image: keras.KerasTensor,
    lite: bool = False,
    num_filters: Sequence[int] = (16, 32, 64, 128, 256, 256),
    units: Sequence[int] = (256, 64, 32),
    dropout: Sequence[float] = (0.6, 0.4, 0.2),
    l2: float = 1e-5,
    slope: float = 0.2,
) -> keras.KerasTensor:
    """Raw pixels `[N, H, W, C]` to features `[N, units[-1]]`.

    Args:
        image: 0..255; each block takes two pixels off a side and halves it: six need a side of 190 or more.
        lite: separable convolutions instead of plain ones.
        num_filters: of each block's convolution.
        units: of each dense layer.
        dropout: after each dense layer.
        l2: penalty on every kernel.
        slope: of LeakyReLU on the negative side.
    """
    penalty = keras.regularizers.L2(l2)
    x = layers.Rescaling(1 / 255)(image)
    keys = ("depthwise", "pointwise") if lite else ("kernel",)
    convolution = partial(
        layers.SeparableConv2D if lite else layers.Conv2D,
        use_bias=False,
        **{f"{key}_initializer": "he_normal" for key in keys},
        **{f"{key}_regularizer": penalty for key in keys},
    )
    for filters in num_filters:
        x = convolution(filters, 3)(x)
        x = layers.BatchNormalization()(x)
        x = layers.LeakyReLU(slope)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for width, rate in zip(units, dropout, strict=True):
        x = layers.Dense(width, kernel_regularizer=penalty)(x)
        x = layers.LeakyReLU(slope)(x)
        x = layers.Dropout(rate)(x)
    return x
