"""Writes the variants of the fixture `variants`: python write_variants.py FOLDER."""

import sys
from pathlib import Path

import keras
import pandas as pd

from example_models import Plan, enliven
from pocketface.cards import MODEL_FILE, Meaning, VariantCard, write_card
from pocketface.core.files import sha256
from pocketface.core.labels import EXPRESSIONS, GENDERS, Output
from pocketface.faces.calibrate import Calibration
from pocketface.faces.settings import Crop, Input
from pocketface.levels import LEVELS
from pocketface.levels.converter import to_tflite
from pocketface.levels.settings import LevelSettings as Settings
from pocketface.levels.source import Source
from pocketface.tflite.meaning import bound

MADE = ("float32", "int8", "uint8_io", "int16x8")
SMALL = {"widths": [8, 16], "depths": [1, 1], "dropout": 0.0}
OUTPUTS = {
    "age": Output(kind="number", unit="years"),
    "gender": Output(kind="classes", labels=GENDERS),
    "expression": Output(kind="classes", labels=EXPRESSIONS),
}
PLANS = {
    "age_gender": (
        Plan("compact", 48, 3, ["age", "gender"], SMALL),
        Crop(policy="one", margin=0.25, size=72),
        Input(size=48, margin=0.2),
    ),
    "expression": (
        Plan("compact", 32, 1, ["expression"], SMALL),
        Crop(policy="as_is", size=48, channels=1),
        Input(size=32, channels=1, margin=0.24, shift=-0.13),
    ),
}


def main(folder: Path) -> None:
    """Nothing is trained; the weights come from a fixed seed."""
    for name, (plan, crop, seen) in PLANS.items():
        keras.utils.set_random_seed(1)
        model, faces = plan.build(), plan.faces()
        enliven(model)
        images = [f"{i}.jpg" for i in range(len(faces))]
        calibration = Calibration(faces, images, pd.DataFrame(index=range(len(faces))))
        source = Source({}, to_tflite(model), calibration, lambda model=model: model)
        for level in MADE:
            file = LEVELS[level].make(source, Settings()).file
            meaning = Meaning(crop=crop, input=seen, outputs={head: OUTPUTS[head] for head in plan.heads})
            file = bound(file, meaning)
            target = folder / name / level
            target.mkdir(parents=True)
            (target / MODEL_FILE).write_bytes(file.content)
            card = VariantCard(
                model=name,
                level=level,
                architecture="compact",
                dataset="drawn",
                licence="drawn by the tests",
                **dict(meaning),
                parameters=model.count_params(),
                trainable_parameters=model.count_params(),
                macs=file.macs,
                size_bytes=len(file.content),
                sha256=sha256(target / MODEL_FILE),
                ports=file.ports,
            )
            write_card(target, card)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
