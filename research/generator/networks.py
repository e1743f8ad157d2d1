"""The three networks: encoder, decoder, critic.

All see or draw canvases in 0..1. The encoder and the critic look at the middle of a canvas, `WINDOW` pixels
wide, which both datasets show whole.

The decoder has transposed convolutions, which cost less than to enlarge and then convolve; the builtin
kernels of TFLite have all of it.
"""

import keras
from keras import layers

from pocketface.core.labels import EXPRESSIONS, GENDERS
from pocketface.synthetic.conditions import KNOTS
from research.generator.canvases import SIZE

SHOWN = len(KNOTS) + len(GENDERS)
"""How many of a condition's numbers, the first, the networks see. An expression lies in the latents alone:
a decoder that is told of it paints a sign of it, which no real face has."""

LATENT = 64
WINDOW = 48
TOP, LEFT = 3, 4
"""Of the window in a canvas."""

DECODER_START = 96
DECODER_WIDTHS = ((224, 112), (96, 48), (32, 0))
"""Filters at 7, 14 and 28 pixels: of a convolution, and of the one that then doubles the size."""

CRITIC_WIDTHS = (16, 32, 64, 128)


def encoder() -> keras.Model:
    """A window `[N, 48, 48, 3]` and its labels `[N, SHOWN]` to the mean and log variance of its latents."""
    image = keras.Input((WINDOW, WINDOW, 3), name="image")
    condition = keras.Input((SHOWN,), name="condition")
    x = image - 0.5
    for width, stride in ((24, 2), (48, 2), (96, 1), (128, 2)):
        x = _block(x, layers.Conv2D(width, 3, stride, padding="same", use_bias=False))
    x = layers.Concatenate()([layers.Flatten()(x), condition])
    x = layers.Dense(256, activation="relu")(x)
    mean = layers.Dense(LATENT, dtype="float32", name="mean")(x)
    spread = layers.Dense(LATENT, dtype="float32", name="log_variance")(x)
    return keras.Model([image, condition], [mean, spread], name="encoder")


def decoder() -> keras.Model:
    """Latents `[N, LATENT]` and labels `[N, SHOWN]` to canvases `[N, 56, 56, 3]`, about 0..1, not clipped."""
    z = keras.Input((LATENT,), name="z")
    condition = keras.Input((SHOWN,), name="condition")
    side, width = SIZE >> len(DECODER_WIDTHS), DECODER_START
    x = layers.Dense(side * side * width)(layers.Concatenate()([z, condition]))
    x = layers.Reshape((side, side, width))(x)
    for width, larger in DECODER_WIDTHS:
        x = _block(x, layers.Conv2D(width, 3, padding="same", use_bias=False))
        if larger:
            x = _block(x, layers.Conv2DTranspose(larger, 4, 2, padding="same", use_bias=False))
    x = layers.Conv2DTranspose(3, 6, 2, padding="same", dtype="float32")(x) + 0.5
    for _ in range(2):  # nothing is as fine as one pixel: the critic would be pleased with dots
        x = layers.AveragePooling2D(2, 1, padding="same", dtype="float32")(x)
    return keras.Model([z, condition], x, name="decoder")


def critic() -> keras.Model:
    """A window to what it shows, and the maps `[N, ., ., .]` that faces are compared by.

    Outputs: `age` in decades `[N, 1]`, logits `gender` `[N, 2]` and `expression` `[N, 7]`, then the maps.
    """
    image = keras.Input((WINDOW, WINDOW, 3), name="image")
    x, maps = image - 0.5, []
    for stage, width in enumerate(CRITIC_WIDTHS):
        if stage:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(1 + stage // 2):
            x = _block(x, layers.Conv2D(width, 3, padding="same", use_bias=False))
        maps.append(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    age = layers.Dense(1, dtype="float32", name="age")(x) + 3.5
    gender = layers.Dense(len(GENDERS), dtype="float32", name="gender")(x)
    expression = layers.Dense(len(EXPRESSIONS), dtype="float32", name="expression")(x)
    return keras.Model(image, [age, gender, expression, *maps], name="critic")


def _block(x: keras.KerasTensor, convolution: layers.Layer) -> keras.KerasTensor:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(convolution(x)))
