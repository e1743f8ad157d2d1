"""One loss and one metric a head, by the kind of its output."""

import keras

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import TRAINING_OUTPUTS
from pocketface.layers.heads import meaning
from pocketface.training.settings import Training

HUBER = 5.0
"""Years, up to which a Huber loss is quadratic."""

YEARS = {"mae": 0.1, "mse": 0.01, "huber": 0.1 / HUBER}
"""Weight of an age loss: ten years of error count as about one nat of cross-entropy."""


def losses(heads: list[str], training: Training) -> dict[str, keras.losses.Loss]:
    """Head -> loss: an error for a number, cross-entropy for classes."""
    return {
        head: _of_numbers(training)
        if meaning(head).kind == "number"
        else keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
        for head in heads
    }


def loss_weights(heads: list[str], training: Training) -> dict[str, float]:
    """Head -> weight in the sum; params may override."""
    years = YEARS[training.age_loss]
    default = {head: years if meaning(head).kind == "number" else 1.0 for head in heads}
    return default | training.loss_weights


def metrics(heads: list[str]) -> dict[str, list[keras.metrics.Metric]]:
    """Head -> weighted metric, so that faces without the label do not count."""
    return {
        head: [keras.metrics.MeanAbsoluteError(name="mae")]
        if meaning(head).kind == "number"
        else [keras.metrics.CategoricalAccuracy(name="accuracy")]
        for head in heads
    }


def watchable(outputs: list[str], metric: str) -> tuple[str, int]:
    """How Keras names a metric of `Watch`, and its sign as a cost: 1 if lower is better, else -1.

    Raises:
        PocketfaceError: there is no such metric.
    """
    names = {"loss": ("loss", 1)}
    for head in outputs:
        if head in TRAINING_OUTPUTS:
            continue
        short, sign = ("mae", 1) if meaning(head).kind == "number" else ("accuracy", -1)
        # With one output, Keras leaves its name out.
        names[f"{head}_{short}"] = (f"{head}_{short}" if len(outputs) > 1 else short, sign)
    if metric not in names:
        raise PocketfaceError(f"training.watch.metric: no {metric!r}; there are {', '.join(names)}")
    return names[metric]


def _of_numbers(training: Training) -> keras.losses.Loss:
    kinds = {
        "mae": keras.losses.MeanAbsoluteError(),
        "mse": keras.losses.MeanSquaredError(),
        "huber": keras.losses.Huber(delta=HUBER),
    }
    return kinds[training.age_loss]
