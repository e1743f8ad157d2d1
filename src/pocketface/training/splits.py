"""Who is trained on, watched, validated: rows of face indexes, divided by hashes of identity or content."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pocketface.core.hashing import unit_hash
from pocketface.faces.index import FaceSet


def together(sets: Sequence[FaceSet], *splits: str) -> pd.DataFrame:
    """The accepted rows of these splits of all sets, each with its set's name as `dataset`; a label that a
    set does not have is null.
    """
    parts = [
        rows.assign(dataset=faces.dataset)
        for faces in sets
        for split in splits
        if not (rows := faces.rows(split)).empty
    ]
    if not parts:
        return sets[0].rows().iloc[:0].assign(dataset=sets[0].dataset)
    return pd.concat(parts, ignore_index=True)


def set_apart(rows: pd.DataFrame, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divides rows into the larger rest and about this share of them."""
    apart = _hashes(rows, "watch") < share
    return rows[~apart], rows[apart]


def folds(rows: pd.DataFrame, count: int) -> np.ndarray:
    """The fold of every row, int `[N]` in 0..count-1."""
    return (_hashes(rows, "fold") * count).astype(np.int64)


def _hashes(rows: pd.DataFrame, salt: str) -> np.ndarray:
    """A number in [0, 1) a row; the same for all rows of an identity, or of a picture."""
    keys = rows["source_sha"]
    if "same_as" in rows:  # copies with labels of their own
        picture = rows["same_as"].where(rows["same_as"].notna(), rows["image"])
        keys = keys.groupby([rows["dataset"], picture]).transform("first")
    if "identity" in rows:
        keys = rows["identity"].where(rows["identity"].notna(), keys)
    return np.array([unit_hash(str(key), salt) for key in keys], dtype=np.float64)
