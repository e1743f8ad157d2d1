"""What is changed in the weights of a trained model: the odds of its classes, and how sure it is.

All change the layer before a softmax, so that they are part of the weights.
"""

from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.layers.heads import logits

TEMPERATURES = np.geomspace(0.25, 4, 401)
FACES = 2000
"""So many are enough to find one temperature."""


def to_rates(
    model: keras.Model, rates: Mapping[str, float], train: pd.DataFrame, balanced: list[str]
) -> None:
    """Corrects a model, in place, for classes that are rarer, or more frequent, in use than in training.

    Where the faces of a class look the same in both places and only its rate differs, Bayes' rule gives the
    answer for the other rate: the odds times a constant (Saerens, Latinne, Decaestecker, 2002).

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


def as_sure(model: keras.Model, head: str, own: np.ndarray, theirs: np.ndarray) -> None:
    """Makes a model as sure of its answers as its teachers are, in place: its logits are divided by one
    number (temperature scaling: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks",
    2017).

    Label smoothing, mixup and the mean of label and teacher all teach it to be less sure. No label is looked
    at: the faces are train faces without one, which the model could not learn by heart.

    Args:
        model: trained, not yet exported.
        head: of classes.
        own: what it answers for some faces, `[N, classes]`.
        theirs: what its teachers answer for the same.
    """
    _divide(logits(model, head), temperature(own, theirs))


def to_least_error(model: keras.Model, distributions: np.ndarray, years: np.ndarray) -> None:
    """Brings the age that a model answers nearer to where its mean error is least, in place.

    That is the median of what it thinks possible, and it answers the mean: its logits are divided by the one
    of `TEMPERATURES` with the least mean absolute error.

    Args:
        model: trained, not yet exported, with an `expected` age.
        distributions: what it answers for some train faces, `[N, ages]`.
        years: their ages, `[N]`.
    """
    ages = np.arange(distributions.shape[1])
    scores = np.log(np.maximum(distributions, 1e-9))

    def error(by: float) -> float:
        told = np.exp(scores / by)
        return float(np.abs(told @ ages / told.sum(axis=1) - years).mean())

    _divide(logits(model, "age"), min(TEMPERATURES, key=error))


def _divide(layer: keras.Layer, by: float) -> None:
    for variable in (layer.kernel, layer.bias):
        variable.assign(np.asarray(variable) / by)


def temperature(own: np.ndarray, theirs: np.ndarray) -> float:
    """The one of `TEMPERATURES` by which dividing the logits of answers `[N, classes]` brings them nearest to
    others, by cross-entropy.
    """
    scores = np.log(np.maximum(own, 1e-9))[None] / TEMPERATURES[:, None, None]
    told = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return float(TEMPERATURES[np.argmax((theirs * told).sum(axis=(1, 2)))])
