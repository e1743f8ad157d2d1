"""From pictures of people to a published generator, in three steps.

`python -m research.generator` is the command. The steps leave what they made in `runs/generator`.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketface.cards import CARD
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import remove, sha256, write_json
from pocketface.core.labels import EXPRESSIONS, GENDERS
from pocketface.core.outs import RAW
from pocketface.cropping.build import build
from pocketface.evaluation.variants import open_variant
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Dataset, Input
from pocketface.faces.view import views
from pocketface.fetching.sources import load_sources
from pocketface.study import Study
from pocketface.synthetic.conditions import KNOTS, encode
from pocketface.synthetic.decoder import FILE, Decoder
from pocketface.synthetic.render import render
from research.generator import measure as measures
from research.generator.recipe import Recipe

WORKPLACE = Path("runs/generator")
FACES, MEASURED = WORKPLACE / "faces", WORKPLACE / "measured"
DATASET = "starter"
PARTS = ("photographs", "kept", "distance")
"""What can be measured: whether faces are found and obey, what training on them keeps, whose they are."""

SHEET_AGES, SHEET_SEED = (4.0, 22.0, 45.0, 75.0), 5

COMPARED = 500
"""Faces, generated and of each validation split, whose nearest training face is looked for."""
IDENTITIES = 2000
"""Training faces, evenly spaced, that identities are compared with; the network takes a tenth of a second."""
IDENTITY = Input(size=150, channels=3, margin=0.25)
"""What dlib's identity network sees of a face."""
INNER = Input(size=32, channels=1, margin=0.0)
"""The inner face, without hair and background."""


def crop_faces(recipe: Recipe) -> None:
    """Crops the training faces of every dataset from `data/raw/DATASET/files.zip`."""
    for name, crop in recipe.faces.items():
        _cropped(name, Dataset(crop=crop), FACES)


def train(recipe: Recipe, folder: Path) -> None:
    """Trains on the train splits, writes the decoder and its card into the published folder."""
    import keras

    from pocketface.training.runtime import seed_everything
    from research.generator import density, networks
    from research.generator.canvases import load
    from research.generator.learn import guess, learn, learn_critic

    facts = seed_everything(recipe.training.seed)
    sets = {name: FaceSet.load(FACES / name) for name in recipe.faces}
    canvases = load(list(sets.values()), "train")
    keras.mixed_precision.set_global_policy(recipe.training.precision)
    critic = learn_critic(canvases, recipe.training)
    critic.save_weights(WORKPLACE / "critic.weights.h5")
    learnt = learn(canvases, critic, recipe.training, WORKPLACE)
    keras.mixed_precision.set_global_policy("float32")
    encoder, decoder = networks.encoder(), networks.decoder()
    for model, learned in zip((encoder, decoder), learnt, strict=True):
        model.set_weights(learned.get_weights())
    conditions = guess(critic, canvases)
    mean, variance = density.latents(encoder, canvases, conditions)
    given = density.regress(mean, variance, conditions, recipe.training.clarity)
    model = density.generator(decoder, *given, recipe.training.sharpness)
    file, sources = folder / FILE, load_sources()
    file.write_bytes(density.to_tflite(model))
    card = {
        "model": "faces-generator",
        "file": {"name": file.name, "size_bytes": file.stat().st_size, "sha256": sha256(file)},
        "command": "python -m research.generator crop && python -m research.generator train",
        "inputs": {
            "noise": "standard normal",
            "condition": {"age_knots": KNOTS.tolist(), "gender": GENDERS, "expression": EXPRESSIONS},
        },
        "output": "RGB face, 0..255; 1.58 of dlib's mean faces wide",
        "licence": "; ".join(sources.dataset(name).licence for name in sets),
        "trained_on": {name: len(faces.rows("train")) for name, faces in sets.items()},
        "training": recipe.training.model_dump(mode="json") | facts,
        "parameters": model.count_params(),
    }
    write_json(folder / CARD, card)
    remove(MEASURED)  # of another decoder


def measure(recipe: Recipe, folder: Path, parts: Sequence[str]) -> dict[str, Any]:
    """Takes some of the measures, in the order of `PARTS`; writes each into the published card when known.

    Parts after `photographs` go on with the faces that it has left. Crops that are there already, cut the
    same way, are taken.

    Returns:
        All that the card says under `measured`.
    """
    wanted, drawn = recipe.measures, MEASURED / DATASET
    if "photographs" in parts:
        archive = MEASURED / "files.zip"
        render(archive, wanted.photographs, wanted.seed, folder)
        build(DATASET, archive, Dataset(crop=wanted.crop), drawn)
        _note(folder, {"photographs": wanted.photographs, "found": measures.found(FaceSet.load(drawn).index)})
        judges = [open_variant(Path(judge)) for judge in wanted.judges]
        _note(folder, {"obeyed": measures.obeyed(FaceSet.load(drawn), _labelled(drawn), judges)})
    if "kept" in parts:
        for name, model in wanted.models.items():
            real = _cropped(model.dataset, wanted.real[model.dataset], WORKPLACE / "real")
            figures = measures.kept(_study(recipe), name, FaceSet.load(drawn), real, wanted.faces)
            _note(folder, {"faces": wanted.faces, f"kept_{name}": figures})
    if "distance" in parts:
        _note(folder, {"distance": _distances(FaceSet.load(drawn), _labelled(drawn), recipe)})
    return _note(folder, {})


def sheet(folder: Path) -> np.ndarray:
    """Faces to look at, a row an expression, a column an age and gender: uint8 `[7 * 56, 8 * 56, 3]`."""
    decoder, random = Decoder(folder), np.random.default_rng(SHEET_SEED)
    rows = []
    for expression in EXPRESSIONS:
        people = pd.DataFrame(itertools.product(SHEET_AGES, GENDERS), columns=["age", "gender"])
        noise = random.standard_normal((len(people), decoder.latent))
        rows.append(np.concatenate(list(decoder(noise, encode(people.assign(expression=expression)))), 1))
    return np.concatenate(rows)


def _note(folder: Path, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Adds figures to those in the card; all of them."""
    path = folder / CARD
    known = json.loads(path.read_text(encoding="utf-8"))
    if known["file"]["sha256"] != sha256(folder / FILE):
        raise PocketfaceError(
            f"{path}: describes another {FILE}; run `python -m research.generator train` first"
        )
    measured = known.get("measured", {}) | figures
    write_json(path, known | {"measured": measured})
    return measured


def _labelled(folder: Path) -> pd.DataFrame:
    """The accepted faces that were asked to look like something."""
    return FaceSet.load(folder).rows().dropna(subset=["age"])


def _cropped(name: str, settings: Dataset, folder: Path) -> FaceSet:
    """A dataset's faces in `folder/NAME`, cropped now unless they are there."""
    if not (folder / name).is_dir() or FaceSet.load(folder / name).crop != settings.crop:
        build(name, RAW / name / "files.zip", settings, folder / name)
    return FaceSet.load(folder / name)


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


def _distances(generated: FaceSet, rows: pd.DataFrame, recipe: Recipe) -> dict[str, Any]:
    """How near generated faces come to those that were learnt from, beside real ones that were not."""
    sets = [FaceSet.load(FACES / name) for name in recipe.faces]
    drawn = [(generated, rows.head(COMPARED))]
    figures = {}
    of_colour = [faces for faces in sets if faces.crop.channels == 3]
    for what, feature, seen, sources, most in (
        ("identity", measures.identity_features, IDENTITY, of_colour, IDENTITIES),
        ("pixels", measures.pixel_features, INNER, sets, None),
    ):
        parts = {
            "generated": drawn,
            "validation": [(faces, _spread(faces.rows("val"), COMPARED)) for faces in sources],
            "train": [(faces, _spread(faces.rows("train"), most)) for faces in sources],
        }
        features = {
            kind: np.concatenate([feature(_seen(faces, chosen, seen)) for faces, chosen in chosen_sets])
            for kind, chosen_sets in parts.items()
        }
        figures[what] = {
            "datasets": [faces.dataset for faces in sources],
            "train_faces": len(features["train"]),
            **measures.distances(features),
        }
    return figures


def _spread(rows: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """At most so many rows, evenly spaced: an index is sorted by name, and so often by label."""
    if most is None or len(rows) <= most:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, most).astype(int)]


def _seen(faces: FaceSet, rows: pd.DataFrame, seen: Input) -> np.ndarray:
    return views(faces.pixels[rows["face"].to_numpy(int)], faces.crop, seen)
