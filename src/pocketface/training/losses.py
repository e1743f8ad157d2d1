"""One loss and one metric a head, by the kind of its output."""

import keras

from pocketface.models.heads import meaning
from pocketface.study import Training

YEARS = 0.1
"""Weight of the age loss: ten years of error count as much as one nat of cross-entropy."""


def losses(heads: list[str], training: Training) -> dict[str, keras.losses.Loss]:
    """Head -> loss: absolute error for a number, cross-entropy for classes."""
    return {
        head: keras.losses.MeanAbsoluteError()
        if meaning(head).kind == "number"
        else keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
        for head in heads
    }


def loss_weights(heads: list[str], training: Training) -> dict[str, float]:
    """Head -> weight in the sum; params may override."""
    default = {head: YEARS if meaning(head).kind == "number" else 1.0 for head in heads}
    return default | training.loss_weights


def metrics(heads: list[str]) -> dict[str, list[keras.metrics.Metric]]:
    """Head -> weighted metric, so that faces without the label do not count."""
    return {
        head: [keras.metrics.MeanAbsoluteError(name="mae")]
        if meaning(head).kind == "number"
        else [keras.metrics.CategoricalAccuracy(name="accuracy")]
        for head in heads
    }
