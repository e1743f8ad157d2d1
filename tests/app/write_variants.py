"""Writes the variants of the fixture `variants`: python write_variants.py FOLDER."""

import sys
from pathlib import Path

import keras

from colour_variants import COLOUR
from example_models import Plan, enliven, write_levels
from pocketface.cards import Meaning
from pocketface.faces.settings import Crop, Input

MADE = ("float32", "int8", "uint8_io", "int16x8")
SMALL = {"widths": [8, 16], "depths": [1, 1], "dropout": 0.0}
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
        meaning = Meaning(crop=crop, input=seen, outputs={head: COLOUR.outputs[head] for head in plan.heads})
        about = {"model": name, "dataset": "drawn", "licence": "drawn by the tests"}
        write_levels(folder / name, model, faces, MADE, meaning, **about)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
