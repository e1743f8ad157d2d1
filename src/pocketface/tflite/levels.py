"""Quantization levels, named for what they do.

A level says what a file must hold (checked on every file by `pocketface.tflite.audit`) and how the converter
is told so. To add one: an entry in `LEVELS` and a line under `levels:` in params.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Level:
    """One level.

    Attributes:
        name: as in params and folders.
        summary: what it does, for tables and help.
        weights: tensor type of every weight tensor of 1,024 elements or more.
        activations: tensor type of what flows between operators.
        calibrated: whether it needs calibration faces.
        configure: sets a `tf.lite.TFLiteConverter` up for it.
    """

    name: str
    summary: str
    weights: str
    activations: str
    calibrated: bool
    configure: Callable[["tf.lite.TFLiteConverter"], None]


def _float32(converter: "tf.lite.TFLiteConverter") -> None:
    """The converter's default."""


def _float16(converter: "tf.lite.TFLiteConverter") -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic_int8(converter: "tf.lite.TFLiteConverter") -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: "tf.lite.TFLiteConverter") -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


LEVELS = {
    level.name: level
    for level in (
        Level("float32", "as trained", "FLOAT32", "FLOAT32", False, _float32),
        Level("float16", "half-precision weights, float32 arithmetic", "FLOAT16", "FLOAT32", False, _float16),
        Level(
            "dynamic_int8",
            "int8 weights, float activations quantized while running",
            "INT8",
            "FLOAT32",
            False,
            _dynamic_int8,
        ),
        Level("int8", "int8 weights and activations, float in and out", "INT8", "INT8", True, _int8),
    )
}


def representative(pixels: np.ndarray) -> Callable[[], Iterable[dict[str, np.ndarray]]]:
    """Calibration faces uint8 `[N, H, W, C]` as the converter takes them: one at a time, by input name."""

    def one_by_one() -> Iterable[dict[str, np.ndarray]]:
        for face in pixels:
            yield {"image": face[None].astype(np.float32)}

    return one_by_one
