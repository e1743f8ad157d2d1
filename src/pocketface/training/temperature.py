"""Making a model as sure of its answers as its teachers are.

Label smoothing, mixup and the mean of label and teacher all teach it to be less sure. Its logits are divided
by one number (temperature scaling: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks",
2017), which is part of the weights. No label is looked at: the faces are train faces without one, which the
model could not learn by heart.
"""

import keras
import numpy as np

from pocketface.layers.heads import logits

TEMPERATURES = np.geomspace(0.25, 4, 401)
FACES = 2000
"""So many are enough to find one number."""


def match(model: keras.Model, head: str, own: np.ndarray, theirs: np.ndarray) -> None:
    """Divides the logits of a head, in place.

    Args:
        model: trained, not yet exported.
        head: of classes.
        own: what it answers for some faces, `[N, classes]`.
        theirs: what its teachers answer for the same.
    """
    layer, by = logits(model, head), temperature(own, theirs)
    for variable in (layer.kernel, layer.bias):
        variable.assign(np.asarray(variable) / by)


def temperature(own: np.ndarray, theirs: np.ndarray) -> float:
    """The one of `TEMPERATURES` by which dividing the logits of answers `[N, classes]` brings them nearest to
    others, by cross-entropy.
    """
    scores = np.log(np.maximum(own, 1e-9))[None] / TEMPERATURES[:, None, None]
    told = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return float(TEMPERATURES[np.argmax((theirs * told).sum(axis=(1, 2)))])
