"""Correcting a trained model for classes that are rarer, or more frequent, in use than in training.

Where the faces of a class look the same in both places and only its rate differs, Bayes' rule gives the
answer for the other rate: the odds times a constant (Saerens, Latinne, Decaestecker, 2002). It is the
softmax's bias that is moved, so the correction is part of the weights.
"""

from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.layers.heads import logits


def correct(model: keras.Model, rates: Mapping[str, float], train: pd.DataFrame, balanced: list[str]) -> None:
    """Moves the biases of `model`'s heads, in place.

    Args:
        model: trained, not yet exported.
        rates: head of an attribute -> share of the faces in use that have it, within 0..1.
        train: the faces it was trained on, with a column of 0 and 1 a head; missing labels are NaN.
        balanced: heads that were trained as if half of the faces had the attribute.

    Raises:
        PocketfaceError: all or none of the train faces have the attribute.
    """
    for head, rate in rates.items():
        seen = 0.5 if head in balanced else float(train[head].mean())
        if not 0 < seen < 1:
            raise PocketfaceError(
                f"training.priors.{head}: {seen:.0%} of the train faces have it, so nothing was learned of it"
            )
        bias = logits(model, head).bias
        bias.assign(np.asarray(bias) + np.log([(1 - rate) / (1 - seen), rate / seen]))
