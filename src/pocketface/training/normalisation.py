"""Batch normalisation of a network that was published without it.

Converters fold a batch normalisation into the convolution before it, and what is left is hard to tune. So the
network gets layers that only add the offset, `passing`, and before it is trained, `settle` gives them
statistics measured on train faces, and a factor and an offset that leave its answers as they were.
"""

from collections.abc import Iterable

import keras
import numpy as np
from keras.layers import BatchNormalization


def passing(offset: np.ndarray, epsilon: float) -> dict[str, np.ndarray]:
    """Weights `[C]`, by name, of a batch normalisation with that epsilon that only adds an offset `[C]`."""
    one, zero = np.ones_like(offset), np.zeros_like(offset)
    return {"gamma": one, "beta": offset, "moving_mean": zero, "moving_variance": one - np.float32(epsilon)}


def is_passing(layer: keras.Layer) -> bool:
    """Whether it is one. A new layer is none: its variance is 1, and the epsilon counts."""
    if not isinstance(layer, BatchNormalization):
        return False
    weights = {weight.name: np.array(weight) for weight in layer.weights}
    plain = passing(weights["beta"], layer.epsilon)
    return all(np.allclose(weights[name], plain[name], rtol=0, atol=1e-6) for name in plain)


def settle(model: keras.Model, pictures: Iterable[np.ndarray]) -> int:
    """Gives the passing layers of a model statistics; what the model answers stays the same. The number of
    them.

    `pictures`: batches `[N, H, W, C]` of what it will be trained on; a few hundred are enough.
    """
    layers = [layer for layer in model.layers if is_passing(layer)]
    if not layers:
        return 0
    before = keras.Model(model.inputs, [layer.input for layer in layers])
    sums = [np.zeros((2, layer.input.shape[-1])) for layer in layers]
    places = np.zeros(len(layers))
    for batch in pictures:
        for i, seen in enumerate(before.predict_on_batch(batch)):
            flat = np.asarray(seen, np.float64).reshape(-1, seen.shape[-1])
            sums[i] += flat.sum(0), np.square(flat).sum(0)
            places[i] += len(flat)
    for layer, total, count in zip(layers, sums, places, strict=True):
        mean, square = total / count
        variance = np.maximum(square - mean**2, 0.0)
        beta = np.array(layer.beta)
        layer.set_weights([np.sqrt(variance + layer.epsilon), beta + mean, mean, variance])
    return len(layers)
