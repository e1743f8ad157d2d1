"""Backbones that others have trained, on ImageNet or on faces, for `transfer`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import layers

from pocketface.core.errors import PocketfaceError, first_line

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
"""RGB, of pixels in 0..255."""
DLIB_MEAN = (122.782, 117.001, 104.298)
"""The same, of dlib's networks."""


@dataclass(frozen=True)
class Backbone:
    """A convolutional network without its classifier.

    Attributes:
        normalise: raw RGB pixels `[N, H, W, 3]`, 0..255, to what the network was trained on.
        build: a tensor `[N, H, W, 3]` of a model, and a width multiplier, to the network on it.
        last_block: the name of the first layer of its last block.
    """

    normalise: Callable[[keras.KerasTensor], keras.KerasTensor]
    build: Callable[[keras.KerasTensor, float], keras.Model]
    last_block: str


def to_bgr(image: keras.KerasTensor) -> keras.KerasTensor:
    """The channels in reverse order: networks that came from Caffe see blue first."""
    return layers.Concatenate()([image[..., 2:], image[..., 1:2], image[..., :1]])


def signed(image: keras.KerasTensor) -> keras.KerasTensor:
    """0..255 to -1..1."""
    return layers.Rescaling(1 / 127.5, offset=-1.0)(image)


def standardised(image: keras.KerasTensor) -> keras.KerasTensor:
    """ImageNet's mean and deviation per channel, as PyTorch's models want."""
    scale = [1 / deviation for deviation in IMAGENET_DEVIATION]
    offset = [-mean / deviation for mean, deviation in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)]
    return layers.Rescaling(scale, offset)(image)


def caffe(image: keras.KerasTensor) -> keras.KerasTensor:
    """Blue first, less ImageNet's mean, not scaled."""
    return layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(to_bgr(image))


def as_dlib(image: keras.KerasTensor) -> keras.KerasTensor:
    """Raw RGB pixels as dlib's networks see them."""
    return layers.Rescaling(1 / 256, offset=[-mean / 256 for mean in DLIB_MEAN])(image)


def _of_keras(name: str, scaled: bool = True, **options: bool) -> Callable[..., keras.Model]:
    """Builds a network of `keras.applications` without its classifier; `scaled`: it has an `alpha`."""

    def build(x: keras.KerasTensor, alpha: float) -> keras.Model:
        width = {"alpha": alpha} if scaled else {}
        network = getattr(keras.applications, name)
        return network(input_tensor=x, include_top=False, weights=None, **width, **options)

    return build


def resnet34(x: keras.KerasTensor, alpha: float = 1.0) -> keras.Model:
    """ResNet-34 (He, Zhang, Ren, Sun, 2016), padded as torchvision's.

    A shortcut that halves the map pools and then convolves: see the oneDNN note in CONTRIBUTING.
    """
    source = x
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="stem_conv")(x)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(epsilon=1e-5, name="stem_bn")(x))
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(layers.ZeroPadding2D(1, name="stem_pool_pad")(x))
    for stage, (width, depth) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(1, depth + 1):
            x = _basic_block(x, width, halve=stage > 1 and block == 1, name=f"stage{stage}_block{block}")
    return keras.Model(keras.utils.get_source_inputs(source), x, name="resnet34")


def _basic_block(x: keras.KerasTensor, width: int, halve: bool, name: str) -> keras.KerasTensor:
    shortcut = x
    x = layers.ZeroPadding2D(1, name=f"{name}_pad1")(x)
    x = layers.Conv2D(width, 3, strides=2 if halve else 1, use_bias=False, name=f"{name}_conv1")(x)
    x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_conv2")(x)
    x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn2")(x)
    if halve:
        shortcut = layers.MaxPooling2D(1, strides=2, name=f"{name}_subsample")(shortcut)
        shortcut = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_shortcut")(shortcut)
        shortcut = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_shortcut_bn")(shortcut)
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, shortcut]))


BACKBONES = {
    "mobilenet_v1": Backbone(caffe, _of_keras("MobileNet"), "conv_dw_13"),
    "mobilenet_v2": Backbone(signed, _of_keras("MobileNetV2"), "block_16_expand"),
    "mobilenet_v3_small": Backbone(
        signed, _of_keras("MobileNetV3Small", include_preprocessing=False), "expanded_conv_10_expand"
    ),
    "resnet34": Backbone(standardised, resnet34, "stage4_block3_pad1"),
    "vgg16": Backbone(caffe, _of_keras("VGG16", scaled=False), "block5_conv1"),
}
"""Name -> backbone. All but ResNet are Keras' own. MobileNet sees what `faceres` of data/sources.yaml saw;
its ImageNet weights of Keras would want `signed` pixels."""


def load(backbone: keras.Model, fresh: keras.Model, path: Path, until: str | None = None) -> None:
    """Loads published weights into a backbone.

    Args:
        backbone: built on a tensor of a model.
        fresh: the same, built on an input of its own, as it was when the weights were saved.
        path: `.weights.h5`, or Keras' older `.h5`.
        until: the last layer that is used; a `.weights.h5` need not have those after it.

    Raises:
        PocketfaceError: it is no such file, or lacks a layer.
    """
    if not path.name.endswith(".h5") or not path.is_file():
        raise PocketfaceError(
            f"{path}: no such .h5 file of weights; data/sources.yaml says where they come from. "
            "Put them there or leave the option `weights` out"
        )
    names = [layer.name for layer in fresh.layers]
    unused = fresh.layers[names.index(until) + 1 :] if until else []
    skipped = {"objects_to_skip": unused} if path.name.endswith(".weights.h5") else {}
    try:
        fresh.load_weights(path, **skipped)
    except (OSError, ValueError, KeyError) as error:
        reason = first_line(error)
        raise PocketfaceError(f"{path}: not the weights of this {backbone.name} ({reason})") from None
    backbone.set_weights(fresh.get_weights())
