"""From a trained auto-encoder to a generator: where its latents lie, and the decoder as a file.

    model = generator(encoder, decoder, canvases, conditions)
    Path("decoder.tflite").write_bytes(to_tflite(model))

Training leaves latents that are nowhere near normal: the divergence weighs little, for the sake of sharp
faces. So they are measured afterwards (Ghosh and others, From Variational to Deterministic Autoencoders,
2020): a linear regression on the labels, and a normal distribution of what remains. Both go into the graph,
as two dense layers before the decoder, which then takes standard normal noise.
"""

import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pocketface.synthetic.conditions import WIDTH
from research.generator.canvases import Canvases
from research.generator.networks import LATENT, LEFT, SHOWN, TOP, WINDOW

RIDGE = 1e-3
"""Of the regression: two labels may come together in every face."""
MASK = 5
"""Pixels of a canvas that the unsharp mask averages over."""


def latents(
    encoder: keras.Model, canvases: Canvases, conditions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance, float64 `[N, LATENT]`, of the latents of faces."""
    means, variances = [], []
    for start in range(0, len(canvases), 256):
        part = slice(start, start + 256)
        shown = canvases.pixels[part, TOP : TOP + WINDOW, LEFT : LEFT + WINDOW].astype(np.float32) / 255
        mean, log_variance = encoder([shown, conditions[part, :SHOWN]], training=False)
        means.append(mean)
        variances.append(np.exp(log_variance))
    return np.concatenate(means).astype(float), np.concatenate(variances).astype(float)


def regress(
    mean: np.ndarray, variance: np.ndarray, conditions: np.ndarray, clarity: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The latents given the labels: `condition @ weights + bias + noise @ factor`.

    Args:
        mean, variance: `[N, LATENT]`, see `latents`.
        conditions: `[N, WIDTH]`.
        clarity: how far an expression is from the mean of all, as a multiple of what it is in life.

    Returns:
        weights `[WIDTH, LATENT]`, bias `[LATENT]`, factor `[LATENT, LATENT]`.
    """
    centre = conditions.mean(0)
    x, y = conditions - centre, mean - mean.mean(0)
    weights = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(WIDTH), x.T @ y)
    rest = y - x @ weights
    weights[SHOWN:] *= clarity
    covariance = rest.T @ rest / len(rest) + np.diag(variance.mean(0))
    return weights, mean.mean(0) - centre @ weights, np.linalg.cholesky(covariance).T


def generator(
    decoder: keras.Model, weights: np.ndarray, bias: np.ndarray, factor: np.ndarray, sharpness: float = 0.0
) -> keras.Model:
    """The decoder behind its latents' distribution: `noise` and `condition` to `face`, 0..255.

    Args:
        decoder: trained.
        weights, bias, factor: see `regress`.
        sharpness: strength of an unsharp mask, for what an auto-encoder draws is soft.
    """
    noise = keras.Input((LATENT,), name="noise")
    condition = keras.Input((WIDTH,), name="condition")
    middle, around = layers.Dense(LATENT), layers.Dense(LATENT, use_bias=False)
    face = decoder([middle(condition) + around(noise), condition[:, :SHOWN]], training=False)
    face = face + sharpness * (face - layers.AveragePooling2D(MASK, 1, padding="same")(face))
    middle.set_weights([weights, bias])
    around.set_weights([factor])
    return keras.Model(
        {"noise": noise, "condition": condition}, {"face": keras.ops.clip(face, 0.0, 1.0) * 255.0}
    )


def to_tflite(model: keras.Model) -> bytes:
    """The generator as a file with float16 weights, for one face at a time."""
    widths = {"noise": LATENT, "condition": WIDTH}
    inputs = {name: tf.TensorSpec((1, width), tf.float32, name=name) for name, width in widths.items()}
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=[inputs], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
