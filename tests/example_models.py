"""Models for the tests of architectures: the published ones, and small ones of every kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from colour_variants import variant_folder
from pocketface import models
from pocketface.cards import Meaning
from pocketface.core.labels import Output
from pocketface.faces.calibrate import Calibration
from pocketface.faces.settings import Input
from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.settings import LevelSettings
from pocketface.levels.source import Source

ATTRIBUTES = ["Male", "Mustache", "Eyeglasses", "No_Beard", "Wearing_Hat", "Bald"]
"""Of the FaceNet report, in its order."""


@dataclass(frozen=True)
class Plan:
    """Arguments of `models.build`."""

    architecture: str
    size: int
    channels: int
    heads: list[str]
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> keras.Model:
        seen = Input(size=self.size, channels=1 if self.channels == 1 else 3)
        return models.build(self.architecture, seen, self.heads, self.options)

    def faces(self, count: int = 8) -> np.ndarray:
        """Noise, uint8 `[count, size, size, channels]`, darker from face to face."""
        shape = (count, self.size, self.size, self.channels)
        noise = np.random.default_rng(0).integers(0, 256, shape)
        return (noise * np.linspace(1, 0.3, count)[:, None, None, None]).astype(np.uint8)

    def __str__(self) -> str:
        backbone, kind = self.options.get("backbone", ""), self.options.get("age", "")
        return "-".join(filter(None, [self.architecture, backbone, kind]))


SMALL = [
    Plan("facenet", 36, 1, ATTRIBUTES),
    Plan("deepface_emotion", 48, 1, ["expression"]),
    Plan("mini_xception", 64, 1, ["expression", "age"], {"age": "ordinal", "widths": [16, 48]}),
    Plan("lite_age", 48, 3, ["age"], {"num_filters": [8, 32], "units": [8], "dropout": [0.1]}),
    Plan("lite_age", 48, 3, ["age"], {"lite": True, "num_filters": [8, 32], "units": [8], "dropout": [0.1]}),
    Plan(
        "pocket",
        32,
        3,
        ["age", "gender", "Bald"],
        {"age": "expected", "widths": [8, 16], "depths": [1, 2], "fused": 1, "units": 32},
    ),
]
OWN_LAYERS = [plan for plan in SMALL if plan.options.get("age") in ("expected", "ordinal")]
LARGE = [
    Plan("transfer", 64, 3, ["age"], {"backbone": "mobilenet_v2", "alpha": 0.35}),
    Plan("transfer", 64, 3, ["age"], {"backbone": "mobilenet_v3_small"}),
    Plan("transfer", 64, 3, ["age"], {"backbone": "resnet34"}),
    Plan("transfer", 64, 3, ["age"], {"backbone": "vgg16"}),
    Plan("deepface_vgg", 224, 3, ["age", "gender"], {"age": "expected"}),
]


def enliven(model: keras.Model) -> None:
    """Weights as a training leaves them, from a fixed seed: biases and normalisation neither 0 nor 1, and
    heads that tell faces apart (those of classes and ranks; one number varies enough)."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + random.uniform(-0.3, 0.3, weight.shape))
        elif weight.path.startswith(tuple(model.output)) and "age_dense" not in weight.path:
            weight.assign(5 * weight)


def calibrated(model: keras.Model, faces: np.ndarray, outputs: Mapping[str, Output] = {}) -> Source:
    """What a level is made from, with these faces `[N, size, size, channels]` to measure ranges on."""
    count = range(len(faces))
    calibration = Calibration(faces, [f"{i}.jpg" for i in count], pd.DataFrame(index=count))
    return Source(outputs, to_tflite(model), calibration, lambda: model)


def write_levels(
    folder: Path,
    model: keras.Model,
    faces: np.ndarray,
    levels: Sequence[str],
    meaning: Meaning,
    /,
    **about: object,
) -> None:
    """Writes a variant for each level, calibrated on these faces; `about` goes into their cards."""
    source, count = calibrated(model, faces, meaning.outputs), model.count_params()
    for level in levels:
        file = LEVELS[level].make(source, LevelSettings()).file
        facts = {"level": level, "macs": file.macs, "ports": file.ports}
        facts |= {"parameters": count, "trainable_parameters": count}
        variant_folder(folder / level, file, meaning, **facts, **about)
