"""Heads: what a model answers, and what its outputs mean.

Every head ends in its meaning: `age` in years, classes as probabilities. Denormalisation is inside the
graph, as normalisation is.
"""

import keras

from pocketface.cards import Output
from pocketface.labels import CLASSES, NUMBERS

AGE_CENTRE, AGE_SPREAD = 35.0, 25.0
"""Years; a fixed affine map that lets the last dense layer work on numbers about 1."""


def meaning(head: str) -> Output:
    """The `Output` of a head, as it stands in the card."""
    if head in NUMBERS:
        return Output(kind="number", unit=NUMBERS[head])
    return Output(kind="classes", labels=CLASSES[head])


def attach(features: keras.KerasTensor, heads: list[str]) -> dict[str, keras.KerasTensor]:
    """The outputs of `heads` on features `[N, D]`: head -> `[N, 1]` or `[N, classes]`."""
    return {head: _attach(features, head) for head in heads}


def _attach(features: keras.KerasTensor, head: str) -> keras.KerasTensor:
    output = meaning(head)
    if output.kind == "number":
        raw = keras.layers.Dense(1, name=f"{head}_dense")(features)
        return keras.layers.Rescaling(AGE_SPREAD, AGE_CENTRE, name=head)(raw)
    return keras.layers.Dense(len(output.labels), activation="softmax", name=head)(features)
