"""`transfer`: a backbone that was trained on ImageNet, with new heads.

- `mobilenet_v2`: Sandler and others, 2018; `alpha` 0.35 or 1.0 where ImageNet weights are at hand.
- `mobilenet_v3_small`: Howard and others, 2019; the newer mobile one: searched, with hard swish and
  squeeze-and-excitation, which integer kernels handle.
- `resnet34`: He and others, 2016.
- `vgg16`: Simonyan and Zisserman, 2015; its convolutions.

A frozen layer keeps its weights, and its batch normalisation uses, and does not update, its moving averages.
The features are the backbone's map, averaged over its positions.
"""

from pathlib import Path
from typing import Literal

import keras
from keras import layers

from pocketface.errors import PocketfaceError
from pocketface.models.backbones import BACKBONES, load

MOMENTUM = 0.95
"""Of the moving averages of batch normalisation, as in our other networks. Keras' MobileNets have 0.999, with
which, after a few hundred steps on faces, they are still ImageNet's, and a tuned network answers at random.
"""


def features(
    image: keras.KerasTensor,
    backbone: Literal["mobilenet_v2", "mobilenet_v3_small", "resnet34", "vgg16"] = "mobilenet_v2",
    alpha: float = 1.0,
    until: str | None = None,
    weights: str | None = None,
    freeze: Literal["all", "last_block", "none"] = "none",
    dropout: float = 0.2,
) -> keras.KerasTensor:
    """Raw RGB pixels `[N, H, W, 3]` to features `[N, D]`; D is 512 for ResNet and VGG.

    Args:
        image: 0..255; a side of at least 32.
        backbone: which.
        alpha: width multiplier of the MobileNets.
        until: the last layer to keep, for example `block_14_add`; the whole network without it. What an
            ImageNet network learns last is specific to its classes, and is half of a MobileNet's weights.
        weights: a file of pre-trained weights of that backbone and `alpha`, without its classifier; random
            ones without it. It is read when a training starts, and not when a trained model is loaded.
        freeze: `all` trains the heads only (feature extraction); `last_block` trains the last block and what
            follows it, and freezes the rest; `none` trains everything (fine-tuning).
        dropout: share of the features dropped in training.

    Raises:
        PocketfaceError: an unknown name, a grey image, or weights that do not fit.
    """
    if backbone not in BACKBONES or freeze not in ("all", "last_block", "none"):
        raise PocketfaceError(
            f"transfer has the backbones {', '.join(BACKBONES)} and freeze all, last_block or none; "
            f"not {backbone!r} with {freeze!r}"
        )
    if image.shape[-1] != 3:
        raise PocketfaceError(f"transfer: {backbone} sees colours; set the model's input.channels to 3")
    chosen = BACKBONES[backbone]
    network = chosen.build(chosen.normalise(image), alpha)
    if weights is not None:
        load(network, chosen.build(keras.Input(image.shape[1:]), alpha), Path(weights))
    _freeze(network, freeze, chosen.last_block)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    x = layers.GlobalAveragePooling2D(name="features")(_output(network, until))
    return layers.Dropout(dropout, name="dropout")(x)


def _output(network: keras.Model, until: str | None) -> keras.KerasTensor:
    """What the network, or its layer `until`, makes of the picture."""
    if until is None:
        return network.output
    if until not in {layer.name for layer in network.layers}:
        raise PocketfaceError(f"transfer: {network.name} has no layer {until!r} to stop at")
    return network.get_layer(until).output


def _freeze(network: keras.Model, freeze: str, last_block: str) -> None:
    """Freezes the layers up to the last block, or all or none of them."""
    names = [layer.name for layer in network.layers]
    until = {"all": len(names), "last_block": names.index(last_block), "none": 0}[freeze]
    for layer in network.layers[:until]:
        layer.trainable = False
