"""`transfer`: a backbone that was trained on ImageNet, or on faces, with new heads on its averaged map.

`mobilenet_v1` (Howard and others, 2017; what `faceres`, trained on faces, is), `mobilenet_v2` (Sandler and
others, 2018), `mobilenet_v3_small` (Howard and others, 2019), `resnet34` (He and others, 2016), `vgg16`
(Simonyan and Zisserman, 2015).
"""

from pathlib import Path

import keras
from keras import layers

from pocketface.core.errors import PocketfaceError
from pocketface.layers.backbones import BACKBONES, load
from pocketface.layers.heads import Branched

MOMENTUM = 0.95
"""Of the moving averages of batch normalisation. With Keras' 0.999 they are still ImageNet's after a few
hundred steps, and a tuned network answers at random."""


def features(
    image: keras.KerasTensor,
    backbone: str = "mobilenet_v2",
    alpha: float = 1.0,
    until: str | None = None,
    weights: str | None = None,
    freeze: str = "none",
    dropout: float = 0.2,
    branch: str | None = None,
    branch_after: str | None = None,
    branch_until: str | None = None,
) -> keras.KerasTensor | Branched:
    """Raw pixels `[N, H, W, C]` to features `[N, D]`; D is 512 for ResNet and VGG.

    Args:
        image: RGB or grey, 0..255; a side of at least 32. Grey is seen as three equal channels.
        backbone: one of these.
        alpha: width multiplier of the MobileNets.
        until: the last layer to keep, for example `block_14_add`; the whole network without it.
        weights: a file of pre-trained weights of that backbone and `alpha`, without its classifier, and
            perhaps without the layers after `until`; random ones without it. It is read when a training
            starts, and not when a trained model is loaded.
        freeze: `all` trains the heads only; `last_block` the last block and what follows it, too; `none`
            trains everything; the name of a layer freezes that one and all before it. A frozen batch
            normalisation does not update its moving averages.
        dropout: share of the features dropped in training.
        branch: a head with layers of its own, for example `expression`. They are as those of the backbone
            after `branch_after` up to `branch_until`, and are named `HEAD_LAYER`; `freeze` is not for them.
            Only for a backbone that is a chain there: `mobilenet_v1`, `vgg16`.

    Unknown names and weights that do not fit are a `PocketfaceError`.
    """
    if backbone not in BACKBONES:
        raise PocketfaceError(f"transfer has the backbones {', '.join(BACKBONES)}, not {backbone!r}")
    chosen = BACKBONES[backbone]
    coloured = image if image.shape[-1] == 3 else layers.Concatenate(name="grey_to_rgb")([image] * 3)
    network = chosen.build(chosen.normalise(coloured), alpha)
    seen = network.output if until is None else network.layers[_place(network, until)].output
    if weights is not None:
        load(network, chosen.build(keras.Input(coloured.shape[1:]), alpha), Path(weights), until)
    for layer in network.layers[: _frozen(network, freeze, chosen.last_block)]:
        layer.trainable = False
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    features = _pooled(seen, dropout)
    if branch is None:
        return features
    own = _branch(network, branch, branch_after, branch_until)
    return features, {branch: _pooled(own, dropout, f"{branch}_")}


def _pooled(seen: keras.KerasTensor, dropout: float, prefix: str = "") -> keras.KerasTensor:
    x = layers.GlobalAveragePooling2D(name=f"{prefix}features")(seen)
    return layers.Dropout(dropout, name=f"{prefix}dropout")(x)


def _branch(network: keras.Model, head: str, after: str | None, until: str | None) -> keras.KerasTensor:
    """The map that new layers, as those of a network after one and up to another, make of its map there."""
    if after is None or until is None:
        raise PocketfaceError("transfer: a branch needs `branch_after` and `branch_until`, names of layers")
    first, last = _place(network, after), _place(network, until)
    x = network.layers[first].output
    for before, layer in zip(network.layers[first:last], network.layers[first + 1 : last + 1], strict=True):
        if layer.input is not before.output:
            raise PocketfaceError(f"transfer: {network.name} is no chain of layers at {layer.name!r}")
        x = type(layer).from_config(layer.get_config() | {"name": f"{head}_{layer.name}"})(x)
    return x


def _frozen(network: keras.Model, freeze: str, last_block: str) -> int:
    if freeze in ("none", "all"):
        return len(network.layers) if freeze == "all" else 0
    return _place(network, last_block) if freeze == "last_block" else _place(network, freeze) + 1


def _place(network: keras.Model, name: str) -> int:
    names = [layer.name for layer in network.layers]
    if name not in names:
        raise PocketfaceError(f"transfer: {network.name} has no layer {name!r}")
    return names.index(name)
