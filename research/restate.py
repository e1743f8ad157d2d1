"""Measures published models again, on the faces that they have not learned from.

    pocketface study use pocket && dvc repro crop_faces
    python research/restate.py age_gender expression

with the params of the study that a model's card names. It was needed once: what was published before pictures
were compared had been measured on copies of train faces too. A card keeps the earlier metrics as `before` and
gets those of now: of the files in its folder, and of the levels that conversion alone makes from its weights.
Levels that need more are left out.
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pocketface import published
from pocketface.cards import ModelCard, write_card
from pocketface.core.files import sha256
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.evaluation.labelled import summary
from pocketface.faces import seen
from pocketface.faces.index import OK, FaceSet
from pocketface.faces.selection import Selection, save, select
from pocketface.levels.convert import convert
from pocketface.levels.export import export
from pocketface.levels.settings import LevelSettings
from pocketface.report.published import overview

CONVERTED = ("float32", "float16", "dynamic_int8")
WEIGHTS = Path("weights")


def main() -> None:
    """Rewrites the cards of the published models, and weights/README.md."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("models", nargs="+", help="names below weights/")
    for name in tqdm(parser.parse_args().models, desc="published models"):
        restate(WEIGHTS / name)
    (WEIGHTS / "README.md").write_text(overview(WEIGHTS), encoding="utf-8")


def restate(folder: Path) -> None:
    """Measures one published model and rewrites its card."""
    card = published.read(folder)
    with tempfile.TemporaryDirectory() as scratch:
        views, trained = Path(scratch, "views"), Path(scratch, "model")
        save(_selection(card, folder), views)
        trained.mkdir()
        shutil.copyfile(folder / published.WEIGHTS, trained / published.WEIGHTS)
        fields = set(ModelCard.model_fields)
        write_card(trained, ModelCard.model_validate(card.model_dump(include=fields)))
        export(trained, views, Path(scratch, "exported"))
        levels = {}
        for level, old in card.levels.items():
            variant = folder / level
            if level in CONVERTED:
                variant = Path(scratch, level)
                convert(Path(scratch, "exported"), views, level, LevelSettings(), variant)
            elif not old.included:
                continue
            levels[level] = _measured(variant, views, old)
    write_card(folder, card.model_copy(update={"levels": levels}))


def _selection(card: published.PublishedCard, folder: Path) -> Selection:
    names = [*card.dataset.split(", "), "photos"]
    known = seen.load(folder)
    sets = [_unseen(FaceSet.load(Path("data/faces") / name), known) for name in names]
    main, *also, holdout = sets
    return select(main, holdout, card.input, also, known)


def _unseen(faces: FaceSet, known: np.ndarray) -> FaceSet:
    """The dataset with all that was not learned from as `val`: the splits of then were others."""
    index = seen.left_out(faces.index, known)
    unseen = (index["status"] == OK) & (index["split"] != "test")
    return replace(faces, index=faces.index.assign(split=index["split"].where(~unseen, "val")))


def _measured(variant: Path, views: Path, old: published.LevelResult) -> published.LevelResult:
    tables = evaluate_variant(variant, views)[1].groupby("dataset")
    found = {str(name): summary(table.dropna(axis=1, how="all")) for name, table in tables}
    file = variant / "model.tflite"
    return old.model_copy(
        update={
            "metrics": {name: part["metrics"] for name, part in found.items()},
            "groups": {name: part["by_group"] for name, part in found.items()},
            "faces": {name: part["n"] for name, part in found.items()},
            "before": old.before or old.metrics,
            "size_bytes": file.stat().st_size,
            "sha256": sha256(file),
        }
    )


if __name__ == "__main__":
    main()
