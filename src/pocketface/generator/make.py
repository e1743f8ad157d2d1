"""From pictures of people to a published generator, in three steps.

    recipe = load_recipe(folder)
    crop_faces(recipe)                     # runs/generator/faces/DATASET
    train(recipe, folder)                  # decoder.tflite and card.json
    measure(recipe, folder)                # what the faces are worth, into card.json

`stages/generator.py` is the command. The steps leave what they made in `runs/generator`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketface.cards import CARD
from pocketface.errors import PocketfaceError
from pocketface.evaluation.variants import open_variant
from pocketface.faces.build import build
from pocketface.faces.index import FaceSet
from pocketface.faces.view import views
from pocketface.fetching.sources import Sources
from pocketface.files import sha256, write_json
from pocketface.generator import measure as measures
from pocketface.generator.conditions import KNOTS
from pocketface.generator.decoder import FILE
from pocketface.generator.recipe import Recipe
from pocketface.generator.render import render
from pocketface.labels import EXPRESSIONS, GENDERS
from pocketface.study import Dataset, Input, Study

WORKPLACE = Path("runs/generator")
RAW = Path("data/raw")
DATASET = "starter"

COMPARED = 1000
"""Faces, generated and of each validation split, whose nearest training face is looked for."""
IDENTITY = Input(size=150, channels=3, margin=0.25)
"""What dlib's identity network sees of a face."""
INNER = Input(size=32, channels=1, margin=0.0)
"""The inner face, without hair and background."""


def crop_faces(recipe: Recipe, workplace: Path = WORKPLACE) -> None:
    """Crops the training faces of every dataset from `data/raw/DATASET/files.zip`."""
    for name, crop in recipe.faces.items():
        build(name, RAW / name / "files.zip", Dataset(crop=crop), workplace / "faces" / name)


def train(recipe: Recipe, sources: Sources, folder: Path, workplace: Path = WORKPLACE) -> None:
    """Trains on the train splits, writes the decoder and its card.

    Args:
        recipe: how.
        sources: `data/sources.yaml`, for the terms that travel with the weights.
        folder: the published folder.
        workplace: where the cropped faces lie, and the weights so far.
    """
    import keras

    from pocketface.generator import density, networks
    from pocketface.generator.canvases import load
    from pocketface.generator.learn import guess, learn, learn_critic
    from pocketface.training.runtime import seed_everything

    facts = seed_everything(recipe.training.seed)
    canvases = load([FaceSet.load(workplace / "faces" / name) for name in recipe.faces], "train")
    keras.mixed_precision.set_global_policy(recipe.training.precision)
    critic = learn_critic(canvases, recipe.training)
    learnt = learn(canvases, critic, recipe.training, workplace)
    keras.mixed_precision.set_global_policy("float32")
    encoder, decoder = networks.encoder(), networks.decoder()
    encoder.set_weights(learnt.encoder.get_weights())
    decoder.set_weights(learnt.decoder.get_weights())
    conditions = guess(learnt.critic, canvases)
    mean, variance = density.latents(encoder, canvases, conditions)
    model = density.generator(decoder, *density.regress(mean, variance, conditions))
    file = Path(folder) / FILE
    file.write_bytes(density.to_tflite(model))
    about = {
        "licence": "; ".join(sources.dataset(name).licence for name in recipe.faces),
        "trained_on": {
            name: len(FaceSet.load(workplace / "faces" / name).rows("train")) for name in recipe.faces
        },
        "training": recipe.training.model_dump(mode="json") | facts,
        "parameters": model.count_params(),
    }
    write_json(Path(folder) / CARD, card(file, about))


def card(file: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the card besides the measures."""
    return {
        "model": "faces-generator",
        "file": {"name": file.name, "size_bytes": file.stat().st_size, "sha256": sha256(file)},
        "command": "python stages/generator.py crop && python stages/generator.py train",
        "inputs": {
            "noise": "standard normal",
            "condition": {"age_knots": KNOTS.tolist(), "gender": GENDERS, "expression": EXPRESSIONS},
        },
        "output": "RGB face, 0..255; 1.58 of dlib's mean faces wide",
        **about,
    }


def measure(recipe: Recipe, folder: Path, workplace: Path = WORKPLACE) -> dict[str, Any]:
    """Renders, crops, trains and compares; writes the figures into the card and returns them."""
    wanted, file = recipe.measures, Path(folder) / CARD
    archive = workplace / "measured" / "files.zip"
    render(archive, wanted.photographs, wanted.seed, Path(folder))
    drawn = workplace / "measured" / DATASET
    index = build(DATASET, archive, Dataset(crop=wanted.crop), drawn)
    generated = FaceSet.load(drawn)
    rows = generated.rows().dropna(subset=["age"])
    for name, dataset in wanted.real.items():
        build(name, RAW / name / "files.zip", dataset, workplace / "real" / name)
    study = _study(recipe)
    figures: dict[str, Any] = {
        "photographs": wanted.photographs,
        "command": "python stages/generator.py measure",
        "found": measures.found(index),
        "obeyed": measures.obeyed(generated, rows, [open_variant(Path(judge)) for judge in wanted.judges]),
        "kept": {"faces": wanted.faces},
    }
    for name, model in wanted.models.items():
        real = FaceSet.load(workplace / "real" / model.dataset)
        figures["kept"] |= measures.kept(study, name, generated, real, wanted.faces)
    figures["distance"] = _distances(generated, rows, recipe, workplace)
    known = json.loads(file.read_text(encoding="utf-8"))
    if known["file"]["sha256"] != sha256(Path(folder) / FILE):
        raise PocketfaceError(
            f"{file}: describes another {FILE}; run `python stages/generator.py train` first"
        )
    write_json(file, known | {"measured": figures})
    return figures


def _study(recipe: Recipe) -> Study:
    """The study that the measuring networks are trained under."""
    wanted = recipe.measures
    datasets = dict(wanted.real) | {DATASET: Dataset(crop=wanted.crop)}
    return Study.model_validate(
        {
            "study": "generator",
            "seed": wanted.seed,
            "threads": wanted.threads,
            "datasets": {name: dataset.model_dump() for name, dataset in datasets.items()},
            "models": {name: model.model_dump() for name, model in wanted.models.items()},
            "levels": {},
            "holdout": DATASET,
            "benchmark": {},
        }
    )


def _distances(generated: FaceSet, rows: pd.DataFrame, recipe: Recipe, workplace: Path) -> dict[str, Any]:
    """How near generated faces come to those that were learnt from, beside real ones that were not."""
    sets = [FaceSet.load(workplace / "faces" / name) for name in recipe.faces]
    drawn = [(generated, rows.head(COMPARED))]
    figures = {}
    for what, feature, seen, sources in (
        (
            "identity",
            measures.identity_features,
            IDENTITY,
            [faces for faces in sets if faces.crop.channels == 3],
        ),
        ("pixels", measures.pixel_features, INNER, sets),
    ):
        parts = {
            "generated": drawn,
            "validation": [(faces, faces.rows("val").head(COMPARED)) for faces in sources],
            "train": [(faces, faces.rows("train")) for faces in sources],
        }
        features = {
            kind: np.concatenate([feature(_seen(faces, chosen, seen)) for faces, chosen in chosen_sets])
            for kind, chosen_sets in parts.items()
        }
        figures[what] = {"datasets": [faces.dataset for faces in sources], **measures.distances(features)}
    return figures


def _seen(faces: FaceSet, rows: pd.DataFrame, seen: Input) -> np.ndarray:
    return views(faces.pixels[rows["face"].to_numpy(int)], faces.crop, seen)
