"""Heads: what a model answers, `age` in years and classes as probabilities (of an attribute: `no`, `yes`).

The option `{age: ...}` of a model is one of

- `regression` (the default): one dense output and a fixed affine map to years;
- `expected`: softmax over the ages 0 to 100 and its mean (DEX: Rothe, Timofte, Van Gool, 2015; deepface);
- `ordinal`: CORAL (Cao, Mirjalili, Raschka, 2020): the sum of the probabilities to be above 0 ... 99 years.

In training the last two have a second output, `age_distribution` `[N, 101]` or `age_ranks` `[N, 100]`, which
also learns from bands of ages, see `training_model` and `pocketface.training.losses`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import TRAINING_OUTPUTS, meaning

AGE_CENTRE, AGE_SPREAD = 35.0, 25.0
"""Years; a fixed affine map that lets the last dense layer work on numbers about 1."""

OLDEST = 100
"""Years. The classes of `expected` are 0 to this; `ordinal` has as many ranks."""

KINDS = {"age": ("regression", "expected", "ordinal")}
"""Head that can be answered in several ways -> the ways, the default first."""


def split_options(options: Mapping[str, Any], heads: Sequence[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Parts a model's options into the kinds of its heads and the options of its architecture.

    An unknown kind, or that of a head that the model lacks, is a `PocketfaceError`.
    """
    kinds = {name: value for name, value in options.items() if name in KINDS}
    for head, kind in kinds.items():
        if head not in heads:
            raise PocketfaceError(f"option {head}: the model has no such head; its heads are {list(heads)}")
        if kind not in KINDS[head]:
            raise PocketfaceError(f"option {head}: no kind {kind!r}; there are {', '.join(KINDS[head])}")
    return kinds, {name: value for name, value in options.items() if name not in KINDS}


Branched = tuple[keras.KerasTensor, Mapping[str, keras.KerasTensor]]
"""Features where heads have their own ones: those of all other heads; and head -> features."""


def attach(
    features: keras.KerasTensor | Branched, heads: Sequence[str], kinds: Mapping[str, str]
) -> dict[str, keras.KerasTensor]:
    """Head -> its output `[N, 1]` or `[N, classes]`, of features `[N, D]`, or of a map `[N, H, W, D]`, of
    which a head is a 3x3 convolution and its mean. `kinds`: head -> kind, where it is not the default.
    """
    shared, own = features if isinstance(features, tuple) else (features, {})
    if unknown := sorted(set(own) - set(heads)):
        raise PocketfaceError(f"no head {unknown} to give layers of its own; there are {list(heads)}")
    return {head: _attach(own.get(head, shared), head, kinds.get(head)) for head in heads}


def training_model(model: keras.Model, heads: Sequence[str] = ()) -> keras.Model:
    """The model to compile and fit: the layers and weights of `model`, of these heads or of all, and their
    training-only outputs.
    """
    outputs = {head: model.output[head] for head in heads or model.output}
    extra = [layer for layer in model.layers if TRAINING_OUTPUTS.get(layer.name) in outputs]
    outputs |= {layer.name: layer.output for layer in extra}
    same = list(outputs) == list(model.output)
    return model if same else keras.Model(model.input, outputs, name=model.name)


def logits(model: keras.Model, head: str) -> keras.Layer:
    """The layer whose outputs, or their mean over a map, are the logits of a head of classes or an `expected`
    age.
    """
    names = {layer.name for layer in model.layers}
    return model.get_layer(next(n for n in (f"{head}_logits_map", f"{head}_logits", head) if n in names))


def _attach(features: keras.KerasTensor, head: str, kind: str | None) -> keras.KerasTensor:
    output = meaning(head)
    if output.kind == "classes":
        if len(features.shape) == 2:
            return layers.Dense(len(output.labels), activation="softmax", name=head)(features)
        return layers.Softmax(name=head)(_linear(features, len(output.labels), f"{head}_logits"))
    if kind == "expected":
        logits = _linear(features, OLDEST + 1, f"{head}_logits")
        probabilities = layers.Softmax(name=f"{head}_distribution")(logits)
        # Ages about their middle: rounding errors of int8 probabilities weigh half as much.
        middle = OLDEST / 2
        return WeightedSum([age - middle for age in range(OLDEST + 1)], middle, name=head)(probabilities)
    if kind == "ordinal":
        score = _linear(features, 1, f"{head}_score", use_bias=False)
        above = RankProbabilities(OLDEST, AGE_CENTRE, name=f"{head}_ranks")(score)
        return WeightedSum([1.0] * OLDEST, name=head)(above)
    raw = _linear(features, 1, f"{head}_dense")
    return layers.Rescaling(AGE_SPREAD, AGE_CENTRE, name=head)(raw)


def _linear(features: keras.KerasTensor, units: int, name: str, use_bias: bool = True) -> keras.KerasTensor:
    if len(features.shape) == 2:
        return layers.Dense(units, use_bias=use_bias, name=name)(features)
    scores = layers.Conv2D(units, 3, padding="same", use_bias=use_bias, name=f"{name}_map")(features)
    return layers.GlobalAveragePooling2D(name=name)(scores)


class WeightedSum(layers.Layer):
    """`[N, K]` to `[N, 1]`: the sum with fixed weights, and an offset."""

    def __init__(self, weights: list[float], offset: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self._column = np.array(weights, np.float32)[:, None]
        self._offset = offset

    def call(self, values: Any) -> Any:
        """The weighted sum of each row."""
        return ops.matmul(values, self._column) + self._offset


class RankProbabilities(layers.Layer):
    """A score `[N, 1]` to the probabilities `[N, ranks]` of being above each rank.

    The biases start as a logistic curve about `centre`, ten ranks wide.
    """

    def __init__(self, ranks: int, centre: float, **kwargs: Any):
        super().__init__(**kwargs)
        self._start = (centre - np.arange(ranks, dtype=np.float32) - 0.5) / 10

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the biases."""
        start = keras.initializers.Constant(self._start)
        self.bias = self.add_weight(shape=self._start.shape, initializer=start, name="bias")

    def call(self, score: Any) -> Any:
        """One probability a rank, falling from rank to rank as long as the biases do."""
        return ops.sigmoid(score + self.bias)


OWN_LAYERS = {layer.__name__: layer for layer in (RankProbabilities, WeightedSum)}
"""Layers that Keras does not have, by the names that it writes: its `custom_objects`."""
