"""A small real model whose every answer is known: weights that are set, not trained, and pictures for it.

Age is 100 times the mean red of a picture, the gender depends on the mean green.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers

from example_models import write_levels
from pocketface.cards import Meaning
from pocketface.core.labels import GENDERS, Output
from pocketface.faces.settings import Crop, Input

SIDE, FACES, WIDTH = 16, 150, 129
OUTPUTS = {"age": Output(kind="number", unit="years"), "gender": Output(kind="classes", labels=GENDERS)}


def colour_model(rescalings: int = 1) -> keras.Model:
    image = layers.Input((SIDE, SIDE, 3), 1, name="image")
    x = image
    for _ in range(rescalings):
        x = layers.Rescaling(1 / 255)(x)
    copies = layers.Conv2D(WIDTH, 3, padding="same", activation="relu")
    x = layers.GlobalAveragePooling2D()(copies(x))
    age, gender = layers.Dense(1, name="age"), layers.Dense(2, activation="softmax", name="gender")
    model = keras.Model(image, {"age": age(x), "gender": gender(x)})
    kernel = np.zeros((3, 3, 3, WIDTH), np.float32)
    kernel[1, 1, np.arange(WIDTH) % 3, np.arange(WIDTH)] = 1
    red, green = (np.where(np.arange(WIDTH) % 3 == i, 3 / WIDTH, 0) for i in (0, 1))
    copies.set_weights([kernel, np.zeros(WIDTH)])
    age.set_weights([100 * red[:, None], np.zeros(1)])
    gender.set_weights([20 * np.stack([-green, green], 1), np.array([10.0, -10.0])])
    return model


def painted() -> tuple[np.ndarray, pd.DataFrame]:
    """Pictures uint8 `[FACES, SIDE, SIDE, 3]` and their labels; a tenth of the labels is wrong."""
    random = np.random.default_rng(0)
    ages, female = random.integers(5, 95, FACES), random.random(FACES) < 0.5
    mean = np.stack([ages * 2.55, np.where(female, 190, 65), random.uniform(0, 255, FACES)], 1)
    noise = random.normal(0, 20, (FACES, SIDE, SIDE, 3))
    labels = np.where(female ^ (random.random(FACES) < 0.1), *reversed(GENDERS))
    rows = {"dataset": "utkface", "image": [f"{i}.png" for i in range(FACES)], "split": "val", "status": "ok"}
    rows |= {"face": range(FACES), "age": ages.astype(float), "gender": labels, "box": None, "source_sha": ""}
    return np.clip(mean[:, None, None] + noise, 0, 255).astype(np.uint8), pd.DataFrame(rows)


def write_variants(root: Path, model: keras.Model, faces: np.ndarray, levels: Sequence[str]) -> None:
    """What `convert` leaves of a model, calibrated on some faces."""
    meaning = Meaning(crop=Crop(), input=Input(size=SIDE), outputs=OUTPUTS)
    about = {"model": "small", "dataset": "utkface"}
    write_levels(root / "variants/small", model, faces, levels, meaning, **about)
