"""The faces that a model is calibrated and measured on, as that model sees them.

Chosen once per model, so that every level is measured on the same faces, and conversion sees train faces
only. A folder holds what `pocketface.faces.calibrate` saves, and

- `evaluation.npy`: uint8 `[N, H, W, C]`, raw 0..255;
- `evaluation.parquet`: the rows of the face indexes, rejected ones too; a column `dataset` in front, `face`
  numbered anew, into `evaluation.npy`, and `crop`, a hash of the crop as it is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import made_by, written_whole
from pocketface.core.hashing import fingerprint
from pocketface.faces import calibrate, seen
from pocketface.faces.duplicates import across, shared
from pocketface.faces.index import OK, FaceSet
from pocketface.faces.settings import Crop, Input
from pocketface.faces.view import detail_of, views

PIXELS, ROWS = "evaluation.npy", "evaluation.parquet"


@dataclass(frozen=True)
class Evaluation:
    """Faces to measure on, uint8 `[N, H, W, C]`, and one row a source picture, `face` null where rejected."""

    pixels: np.ndarray
    rows: pd.DataFrame


@dataclass(frozen=True)
class Selection:
    """All that conversion and evaluation of one model may see."""

    calibration: calibrate.Calibration
    evaluation: Evaluation


def evaluation_split(faces: FaceSet, test: bool = False) -> str:
    """The split to measure on: `val`, by which models are chosen, or the reserved `test`; else the other."""
    first, second = ("test", "val") if test else ("val", "test")
    return second if faces.rows(first).empty and not faces.rows(second).empty else first


def select(
    faces: FaceSet,
    holdout: FaceSet,
    input: Input,
    also: Sequence[FaceSet] = (),
    learned_from: np.ndarray | None = None,
    test: bool = False,
    trained_on: Crop | None = None,
) -> Selection:
    """Chooses for one model.

    Args:
        faces: its (main) dataset: calibration from `train`, evaluation from `val`.
        holdout: a dataset that no model is trained on.
        input: what the model sees.
        also: the other datasets of a mix, for evaluation.
        learned_from: fingerprints of the pictures that the model has seen, see `pocketface.faces.seen`; it is
            not measured on them, nor on copies of them in these datasets.
        test: whether to measure on the reserved part instead, see `evaluation_split`.
        trained_on: how the faces that it learned from were cut out, if not as those of `faces`.

    Raises:
        PocketfaceError: a split that is needed has no accepted face.
    """
    detail = detail_of(trained_on or faces.crop)
    own = [faces, *also, holdout]
    sets = across(own)
    splits = [evaluation_split(part, test) for part in sets]
    known = seen.fingerprints([]) if learned_from is None else learned_from
    known = _with_copies(own, splits, known)
    # Copies go by the own index: in the other, `same_as` may name a picture of another dataset.
    copies = [part.index["same_as"] for part in own]
    parts = [
        _evaluation(part, split, input, detail, known, same_as)
        for part, split, same_as in zip(sets, splits, copies, strict=True)
    ]
    rows = pd.concat([part.rows for part in parts], ignore_index=True)
    rows["face"] = (rows["face"].notna().cumsum() - 1).where(rows["face"].notna()).astype("Int64")
    pixels = np.concatenate([part.pixels for part in parts])
    return Selection(calibrate.choose(sets[0], input, detail), Evaluation(pixels, rows))


def _with_copies(sets: Sequence[FaceSet], splits: Sequence[str], known: np.ndarray) -> np.ndarray:
    """Fingerprints, and those of the faces to measure on that show one of their pictures in another set."""
    found = [known]
    for (one, _), (other, split) in permutations(zip(sets, splits, strict=True), 2):
        ours, theirs = one.rows(), other.rows(split)
        ours = ours[seen.is_known(ours["source_sha"], known)]
        if len(ours) and len(theirs):
            copies = sorted({j for _, j in shared(one, ours, other, theirs)})
            found.append(seen.fingerprints(theirs["source_sha"].iloc[copies]))
    return np.unique(np.concatenate(found))


def save(selection: Selection, folder: Path) -> None:
    """Writes the folder, all or nothing."""
    with written_whole(folder, folder=True) as partial:
        calibrate.save(selection.calibration, partial)
        np.save(partial / PIXELS, selection.evaluation.pixels)
        selection.evaluation.rows.to_parquet(partial / ROWS, index=False)


def load_evaluation(folder: Path) -> Evaluation:
    """Opens what `save` wrote, mapping the pixels; a missing or damaged file is a `PocketfaceError`."""
    with made_by(f"select_faces@{folder.name}", folder, "evaluation faces"):
        pixels = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
        return Evaluation(pixels, pd.read_parquet(folder / ROWS))


def _evaluation(
    faces: FaceSet,
    split: str,
    input: Input,
    detail: int | None,
    learned_from: np.ndarray,
    same_as: pd.Series,
) -> Evaluation:
    rows = seen.left_out(faces.index, learned_from, same_as)
    rows = rows[rows["split"] == split]
    counts = rows["status"] == OK
    accepted = rows.loc[counts, "face"].to_numpy(np.int64)
    if not len(accepted):
        raise PocketfaceError(
            f"dataset {faces.dataset} has no face to measure on in its {split} split "
            f"({', '.join(f'{n} {status}' for status, n in rows['status'].value_counts().items())}); "
            "raise `sample`"
        )
    stored = pd.Series([*map(fingerprint, faces.pixels[accepted])], rows.index[counts], dtype="str")
    rows = rows.assign(dataset=faces.dataset, face=rows["face"].where(counts), crop=stored)
    ordered = rows[["dataset", *rows.columns.drop("dataset")]]
    return Evaluation(views(faces.pixels[accepted], faces.crop, input, detail), ordered)
