"""The losses of the outputs that an age head has in training only, see `pocketface.models.heads`.

Both learn from the same label as `age` itself, years `[N, 1]`, beside the loss on the years.
"""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from pocketface.models.heads import OLDEST

SIGMA = 2.0
"""Years. A label stands for the ages around it too: an annotator, or a birthday, is easily that far off."""


class SoftAgeCrossentropy(keras.losses.Loss):
    """Cross-entropy of a distribution over ages `[N, 101]` with a normal curve about the label.

    With a loss on the mean beside it: Gao and others, Age Estimation Using Expectation of Label Distribution
    Learning, 2018.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Years `[N, 1]` and probabilities `[N, 101]` to nats `[N]`."""
        distance = ops.arange(OLDEST + 1, dtype=y_pred.dtype) - ops.clip(y_true, 0, OLDEST)
        soft = ops.exp(-ops.square(distance / SIGMA) / 2)
        return ops.categorical_crossentropy(soft / ops.sum(soft, axis=-1, keepdims=True), y_pred)


class RankCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of "older than 0", ... "older than 99" `[N, 100]`, as CORAL has it.

    Scaled so that one year of error costs about as much as in `pocketface.training.losses`.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Years `[N, 1]` and probabilities `[N, 100]` to `[N]`."""
        above = ops.cast(y_true > ops.arange(OLDEST, dtype=y_true.dtype), y_pred.dtype)
        return 10 * ops.mean(ops.binary_crossentropy(above, y_pred), axis=-1)


LOSSES = {"age_distribution": SoftAgeCrossentropy, "age_ranks": RankCrossentropy}


def losses(outputs: Iterable[str]) -> dict[str, keras.losses.Loss]:
    """Training-only output -> loss; their weight is 1."""
    return {name: LOSSES[name]() for name in outputs}
