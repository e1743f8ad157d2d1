"""One loss and one metric an output, by its kind.

The outputs that an age head has in training only, see `pocketface.layers.heads`, learn from years `[N, 1]`.
Where a face has no age but a band of ages, the labels are intervals, first and last year, `[N, 2]`, the same
twice where the age is known. Such an age is interval-censored: its likelihood is the sum of the probabilities
(Turnbull, The Empirical Distribution Function with Arbitrarily Grouped, Censored and Truncated Data, JRSS B
38, 1976).
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import NUMBERS, TRAINING_OUTPUTS, main_metric
from pocketface.layers.heads import OLDEST
from pocketface.training.settings import Training

HUBER = 5.0
"""Years, up to which a Huber loss is quadratic."""
YEARS = {"mae": 0.1, "mse": 0.01, "huber": 0.1 / HUBER}
"""Weight of an age loss: ten years of error count as about one nat of cross-entropy."""
SIGMA = 2.0
"""Years. A label stands for the ages around it too: an annotator, or a birthday, is easily that far off."""


class SoftAgeCrossentropy(keras.losses.Loss):
    """Cross-entropy of a distribution over ages `[N, 101]` with a normal curve about the label.

    Gao and others, Age Estimation Using Expectation of Label Distribution Learning, 2018. Of a band of ages,
    the negative log-likelihood of the interval.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Years `[N, 1]`, or intervals `[N, 2]`, and probabilities `[N, 101]` to nats `[N]`."""
        ages = ops.arange(OLDEST + 1, dtype=y_pred.dtype)
        years = ops.clip(y_true, 0, OLDEST)
        first, last = years[:, :1], years[:, -1:]
        distance = ages - first
        soft = ops.exp(-ops.square(distance / SIGMA) / 2)
        cost = ops.categorical_crossentropy(soft / ops.sum(soft, axis=-1, keepdims=True), y_pred)
        if y_true.shape[-1] == 1:
            return cost
        # Where two faces are mixed, an interval may begin or end between two ages: each counts by its share.
        inside = ops.clip(ops.minimum(ages, last) - ops.maximum(ages, first) + 1, 0, 1)
        likelihood = ops.sum(inside * y_pred, axis=-1)
        censored = -ops.log(likelihood + keras.config.epsilon())
        return ops.where(last[:, 0] > first[:, 0], censored, cost)


class RankCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of "older than 0", ... "older than 99" `[N, 100]`, as CORAL has it.

    Scaled so that a year of error costs about as much as by `YEARS`. Ranks inside a band of ages cost
    nothing.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Years `[N, 1]`, or intervals `[N, 2]`, and probabilities `[N, 100]` to `[N]`."""
        ranks = ops.arange(OLDEST, dtype=y_true.dtype)
        above = ops.cast(y_true[:, :1] > ranks, y_pred.dtype)
        cost = ops.binary_crossentropy(above, y_pred)
        if y_true.shape[-1] > 1:
            cost = ops.where((y_true[:, :1] > ranks) == (y_true[:, 1:] > ranks), cost, 0)
        return 10 * ops.mean(cost, axis=-1)


def losses(outputs: Sequence[str], training: Training) -> dict[str, keras.losses.Loss]:
    """Output -> loss: an error for a number, cross-entropy for classes."""
    years = {
        "mae": keras.losses.MeanAbsoluteError(),
        "mse": keras.losses.MeanSquaredError(),
        "huber": keras.losses.Huber(delta=HUBER),
    }[training.age_loss]
    classes = keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
    extra = {"age_distribution": SoftAgeCrossentropy(), "age_ranks": RankCrossentropy()}
    return {name: extra.get(name, years if name in NUMBERS else classes) for name in outputs}


def loss_weights(outputs: Sequence[str], training: Training) -> dict[str, float]:
    """Output -> weight in the sum; params may override."""
    years = YEARS[training.age_loss]
    return {name: years if name in NUMBERS else 1.0 for name in outputs} | training.loss_weights


def metrics(heads: Sequence[str]) -> dict[str, list[keras.metrics.Metric]]:
    """Head -> weighted metric, so that faces without the label do not count."""
    mae, accuracy = keras.metrics.MeanAbsoluteError, keras.metrics.CategoricalAccuracy
    return {head: [mae(name="mae") if head in NUMBERS else accuracy(name="accuracy")] for head in heads}


def watchable(outputs: Sequence[str], metric: str) -> tuple[str, int]:
    """How Keras names a metric of `Watch`, and its sign as a cost: 1 if lower is better, else -1.

    Raises:
        PocketfaceError: there is no such metric.
    """
    known = ["loss", *(main_metric(name) for name in outputs if name not in TRAINING_OUTPUTS)]
    if metric not in known:
        raise PocketfaceError(f"training.watch.metric: no {metric!r}; there are {', '.join(known)}")
    # With one output, Keras leaves its name out.
    name = metric.removeprefix(f"{outputs[0]}_") if len(outputs) == 1 else metric
    return name, -1 if name.endswith("accuracy") else 1
