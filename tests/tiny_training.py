"""Tiny learnable things: face sets without faces, and models that train in seconds."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from pocketface import models
from pocketface.cards import write_card
from pocketface.core.files import sha256
from pocketface.core.labels import EXPRESSIONS, GENDERS, age_band, meaning
from pocketface.faces.duplicates import perceptual_hash, thumbnail
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Crop
from pocketface.published import WEIGHTS, PublishedCard
from pocketface.study import Study

CROP = Crop(policy="one", margin=0.25, size=24, channels=3)


def face_set(
    train: int = 64, val: int = 16, crop: Crop = CROP, dataset: str = "utkface", seed: int = 0
) -> FaceSet:
    """Noise whose brightness tells the age, and whose brighter half (left, right) tells the gender."""
    random = np.random.default_rng(seed)
    count = train + val
    age = random.integers(1, 90, count).astype(float)
    gender = random.integers(0, 2, count)
    pixels = random.integers(0, 60, (count, crop.size, crop.size, crop.channels)).astype(np.float64)
    pixels += age[:, None, None, None]
    half = crop.size // 2
    for face, side in zip(pixels, gender, strict=True):
        face[:, half * side : half * (side + 1)] += 90
    pixels = pixels.astype(np.uint8)
    rows = pd.DataFrame(
        {
            "image": [f"{i:05}.jpg" for i in range(count)],
            "split": ["train"] * train + ["val"] * val,
            "status": "ok",
            "face": pd.array(range(count), dtype="Int64"),
            "box": [[0, 0, 10, 10]] * count,
            "source_sha": [
                hashlib.sha256(f"{seed} {dataset} {i}".encode()).hexdigest() for i in range(count)
            ],
            "phash": pd.array([perceptual_hash(thumbnail(face, crop)) for face in pixels], dtype="UInt64"),
            "same_as": pd.Series([None] * count, dtype="str"),
            "age": age,
            "gender": [GENDERS[i] for i in gender],
            "expression": [EXPRESSIONS[i % len(EXPRESSIONS)] for i in range(count)],
        }
    )
    rejected = rows.iloc[:2].assign(
        image=["a.jpg", "b.jpg"], status="no_face", face=pd.NA, box=None, phash=pd.NA, split="val"
    )
    index = pd.concat([rejected.astype({"face": "Int64", "phash": "UInt64"}), rows], ignore_index=True)
    return FaceSet(dataset, pixels, index, crop)


def banded(faces: FaceSet, every: int = 1) -> FaceSet:
    """The same faces; of every so many of them the band of ages is all that is known."""
    age = faces.index["age"]
    bands = age.map(age_band, na_action="ignore")
    hidden = np.arange(len(age)) % every == every - 1
    return replace(faces, index=faces.index.assign(age=age.mask(hidden), age_band=bands))


def study(options: Mapping[str, object] = {}, **changes: object) -> Study:
    """A study of one small model over a `face_set`.

    `options` replace those of the model, `changes` fields of its training recipe.
    """
    training = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "augment": {"flip": False}} | changes
    return Study.model_validate(
        {
            "study": "tiny",
            "seed": 1,
            "benchmark": {},
            "threads": 1,
            "datasets": {
                "utkface": {"crop": CROP.model_dump()},
                "photos": {"crop": CROP.model_dump() | {"policy": "largest"}},
            },
            "holdout": "photos",
            "models": {
                "small": {
                    "dataset": "utkface",
                    "architecture": "compact",
                    "options": {"widths": [8, 16], "depths": [1, 1], "dropout": 0.0} | options,
                    "input": {"size": 16, "channels": 3, "margin": 0.2},
                    "heads": ["age", "gender"],
                    "training": training,
                }
            },
            "levels": {"float32": {}, "float16": {}, "dynamic_int8": {}, "int8": {"calibration": 8}},
        }
    )


def publish(
    folder: Path,
    seed: int,
    heads: tuple[str, ...] = ("gender",),
    size: int = 16,
    architecture: str = "compact",
    options: dict | None = None,
) -> keras.Model:
    """Publishes a network that nobody has trained."""
    stanza = study().models["small"]
    options = options or stanza.options
    seen = stanza.input.model_copy(update={"size": size})
    keras.utils.set_random_seed(seed)
    model = models.build(architecture, seen, list(heads), options)
    folder.mkdir(parents=True)
    model.save_weights(folder / WEIGHTS)
    facts = {"dataset": "utkface", "licence": "research", "crop": CROP, "input": seen}
    facts |= {"outputs": {head: meaning(head) for head in heads}, "options": options}
    facts |= {
        "model": "small",
        "architecture": architecture,
        "parameters": 1,
        "trainable_parameters": 1,
        "macs": 1,
    }
    facts |= {"study": "tiny", "seed": seed, "command": "dvc repro", "levels": {}}
    facts |= {"sources": {"somewhere": "Somewhere: research"}}
    card = PublishedCard.model_validate(facts | {"weights_sha256": sha256(folder / WEIGHTS)})
    write_card(folder, card)
    return model


def out_of_bounds(plan: Study, **training: object) -> Study:
    """The study with settings of its training that a params file may not have."""
    small = plan.models["small"]
    small = small.model_copy(update={"training": small.recipe.model_copy(update=training)})
    return plan.model_copy(update={"models": plan.models | {"small": small}})
