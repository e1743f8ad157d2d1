"""Which pictures a model has learned from, kept beside its weights: a study leaves them out.

A fingerprint is the first four bytes of a picture's SHA-256: beside 100,000 of them, one in 40,000 pictures
that were not seen is taken for one that was.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.faces.index import OK

SEEN = "seen.npy"
LEARNED_FROM = "learned_from"
"""The status of a picture that the model has learned from."""


def fingerprints(shas: Iterable[str]) -> np.ndarray:
    """Of SHA-256 hashes in hexadecimal: uint32 `[N]`, sorted, each once."""
    return np.unique(np.array([int(sha[:8], 16) for sha in shas], np.uint32))


def save(seen: np.ndarray, folder: Path) -> None:
    """Writes `seen.npy`."""
    np.save(folder / SEEN, seen)


def load(folder: Path) -> np.ndarray:
    """What `save` wrote; empty where there is no such file; a damaged one is a `PocketfaceError`."""
    path = folder / SEEN
    try:
        return np.load(path, allow_pickle=False) if path.exists() else fingerprints([])
    except (OSError, ValueError, EOFError) as error:
        raise PocketfaceError(f"{path}: not readable ({error}); make or publish the model again") from None


def is_known(shas: pd.Series, seen: np.ndarray) -> np.ndarray:
    """Which SHA-256 hashes are of pictures that were seen, bool `[N]`; null is not."""
    return np.isin([-1 if sha is None or sha != sha else int(sha[:8], 16) for sha in shas], seen)


def left_out(index: pd.DataFrame, seen: np.ndarray, same_as: pd.Series | None = None) -> pd.DataFrame:
    """A face index in which pictures that were seen, and those of which a copy was, have that status.

    `same_as`: which pictures of this index are copies, if not what stands there.
    """
    known = pd.Series(is_known(index["source_sha"], seen), index=index.index)
    same_as = index["same_as"] if same_as is None else same_as
    copies = same_as.where(same_as.notna(), index["image"])
    known = known.groupby(copies).transform("any")
    return index.assign(status=index["status"].where(~(known & (index["status"] == OK)), LEARNED_FROM))
