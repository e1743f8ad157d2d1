"""From the layers of a foreign file to the weights of a model of ours.

Nothing is guessed: both have the same number of layers, in the same order, with weights of the same names and
shapes, or the file is refused before an array of it is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import meaning
from pocketface.layers.heads import AGE_CENTRE, AGE_SPREAD

Answers = Mapping[str, Sequence[str | float]]
"""Head -> what the file's classes mean, in its order: words, or years."""


@dataclass(frozen=True)
class Learned:
    """One layer of a file.

    Attributes:
        name: as the file calls it, for messages.
        weights: name as in Keras (`kernel`, `bias`, `gamma`, ...) -> array in Keras' layout, in memory or
            still in a file; `numpy.asarray` reads it.
    """

    name: str
    weights: Mapping[str, Any]


def assign(model: keras.Model, layers: Sequence[Learned], answers: Answers | None = None) -> None:
    """Gives a model the weights of a file.

    Args:
        model: of an architecture of ours.
        layers: the file's, in its order.
        answers: of heads whose classes stand in another order than ours; of an age that is the mean of
            classes, their years: its features are then the classes' probabilities.

    Raises:
        PocketfaceError: the file is of another network, or its answers are not ours.
    """
    answers = answers or {}
    own = [layer for layer in model.layers if layer.weights]
    if "age" in answers and own and own[-1].name == "age_dense":
        layers = [*layers, mean_of([float(years) for years in answers["age"]])]
    if len(own) != len(layers):
        raise PocketfaceError(f"has {len(layers)} layers with weights, {model.name} has {len(own)}")
    pairs = list(zip(own, layers, strict=True))
    for layer, learned in pairs:
        _check(layer, learned)
    for layer, learned in pairs:
        order = _order(layer.name, answers)
        for weight in layer.weights:
            array = np.asarray(learned.weights[weight.name], np.float32).reshape(weight.shape)
            if not np.isfinite(array).all():
                raise PocketfaceError(f"{learned.name}: its {weight.name} is not all finite numbers")
            weight.assign(array if order is None else array[..., order])


def mean_of(years: Sequence[float]) -> Learned:
    """The dense layer that makes the mean age of class probabilities `[N, K]`, as our age head scales it."""
    kernel = (np.array(years, np.float64)[:, None] - AGE_CENTRE) / AGE_SPREAD
    return Learned("mean age", {"kernel": kernel.astype(np.float32), "bias": np.zeros(1, np.float32)})


def _check(layer: keras.Layer, learned: Learned) -> None:
    wanted = {weight.name: tuple(weight.shape) for weight in layer.weights}
    found = {name: tuple(array.shape) for name, array in learned.weights.items()}
    # A 1x1 convolution of a 1x1 map is a dense layer.
    same = {name: shape[2:] if _is_dense(shape, wanted.get(name)) else shape for name, shape in found.items()}
    if same != wanted:
        raise PocketfaceError(f"its layer {learned.name} has {found}, {layer.name} has {wanted}")


def _is_dense(found: tuple[int, ...], wanted: tuple[int, ...] | None) -> bool:
    return len(found) == 4 and found[:2] == (1, 1) and wanted is not None and len(wanted) == 2


def _order(layer: str, answers: Answers) -> list[int] | None:
    """Where our labels stand among the file's, for the layer that makes a head of classes."""
    for head, words in answers.items():
        if meaning(head).kind == "classes" and layer in (head, f"{head}_logits", f"{head}_logits_map"):
            labels = meaning(head).labels
            if sorted(map(str, words)) != sorted(labels):
                raise PocketfaceError(f"answers {head} with {list(words)}, which are not {list(labels)}")
            return [list(words).index(label) for label in labels]
    return None
