"""The losses of the outputs that an age head has in training only, see `pocketface.layers.heads`.

Both learn from the label of `age`, years `[N, 1]`, beside the loss on the years. Where a face has no age but
a band of ages, the labels are intervals, first and last year, `[N, 2]`, the same twice where the age is
known. Such an age is interval-censored: its likelihood is the sum of the probabilities (Turnbull, The
Empirical Distribution Function with Arbitrarily Grouped, Censored and Truncated Data, JRSS B 38, 1976).
"""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from pocketface.layers.heads import OLDEST

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

    Scaled so that a year of error costs about as much as in `pocketface.training.losses`. Ranks inside a band
    of ages cost nothing.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Years `[N, 1]`, or intervals `[N, 2]`, and probabilities `[N, 100]` to `[N]`."""
        ranks = ops.arange(OLDEST, dtype=y_true.dtype)
        above = ops.cast(y_true[:, :1] > ranks, y_pred.dtype)
        cost = ops.binary_crossentropy(above, y_pred)
        if y_true.shape[-1] > 1:
            cost = ops.where((y_true[:, :1] > ranks) == (y_true[:, 1:] > ranks), cost, 0)
        return 10 * ops.mean(cost, axis=-1)


LOSSES = {"age_distribution": SoftAgeCrossentropy, "age_ranks": RankCrossentropy}


def losses(outputs: Iterable[str]) -> dict[str, keras.losses.Loss]:
    """Training-only output -> loss; their weight is 1."""
    return {name: LOSSES[name]() for name in outputs}
