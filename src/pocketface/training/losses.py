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
    years = {
        "mae": keras.losses.MeanAbsoluteError(),
        "mse": keras.losses.MeanSquaredError(),
        "huber": keras.losses.Huber(delta=HUBER),
    }[training.age_loss]
    classes = keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
    return {head: years if _is_number(head) else classes for head in heads}


def loss_weights(heads: list[str], training: Training) -> dict[str, float]:
    """Head -> weight in the sum; params may override."""
    years = YEARS[training.age_loss]
    return {head: years if _is_number(head) else 1.0 for head in heads} | training.loss_weights


def metrics(heads: list[str]) -> dict[str, list[keras.metrics.Metric]]:
    """Head -> weighted metric, so that faces without the label do not count."""
    mae, accuracy = keras.metrics.MeanAbsoluteError, keras.metrics.CategoricalAccuracy
    return {head: [mae(name="mae") if _is_number(head) else accuracy(name="accuracy")] for head in heads}


def watchable(outputs: list[str], metric: str) -> tuple[str, int]:
    """How Keras names a metric of `Watch`, and its sign as a cost: 1 if lower is better, else -1.

    Raises:
        PocketfaceError: there is no such metric.
    """
    names = {"loss": ("loss", 1)}
    for head in outputs:
        if head not in TRAINING_OUTPUTS:
            short, sign = ("mae", 1) if _is_number(head) else ("accuracy", -1)
            # With one output, Keras leaves its name out.
            names[f"{head}_{short}"] = (f"{head}_{short}" if len(outputs) > 1 else short, sign)
    if metric not in names:
        raise PocketfaceError(f"training.watch.metric: no {metric!r}; there are {', '.join(names)}")
    return names[metric]


def _is_number(head: str) -> bool:
    return meaning(head).kind == "number"
