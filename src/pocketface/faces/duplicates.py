"""The same picture more than once, exactly or nearly: within a dataset, across its splits, across datasets.

Copies are found by the hash of the file, and by a perceptual hash of the face whose candidates are then
compared pixel by pixel: another size, compression, brightness or a small shift is the same picture, another
picture of the same person is not. The bounds on the correlation were set by looking at pairs of FER2013 and
UTKFace.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from pocketface.core.hashing import SPLITS
from pocketface.faces.index import CONTRADICTORY, DUPLICATE, MEASURED_TOO, OK, FaceSet
from pocketface.faces.settings import Crop, Input
from pocketface.faces.view import view

SIDE = 48
"""Pixels of the grey thumbnails that are compared."""
SHIFT = 4
"""Pixels that one of them may be moved."""
BITS = 8
"""Of 64 in which the perceptual hashes of candidates may differ."""
ALIGNED, AS_IS = 0.97, 0.92
"""The least correlation of the same picture. Aligned faces are alike already: eyes lie on eyes."""
COMPARED = 2**20
"""Hashes that are compared at once, whatever their number: 10 MB, and in the processor's cache."""
CACHED = 50_000
GROUP = ".group"
"""A column of no label's name: the number of the picture that a row shows."""

Look = Callable[[int], np.ndarray]
"""Number of a picture -> its thumbnail."""


def thumbnail(face: np.ndarray, crop: Crop) -> np.ndarray:
    """A stored crop, uint8 `[H, W, C]`, as it is compared: grey, uint8 `[SIDE, SIDE]`."""
    return view(face, crop, Input(size=SIDE, channels=1, margin=min(0.2, crop.margin)))[:, :, 0]


def perceptual_hash(thumbnail: np.ndarray) -> int:
    """64 bits that pictures which look alike share but for a few."""
    import imagehash  # of the extra `pipeline`; who only measures does without

    bits = imagehash.phash(Image.fromarray(thumbnail)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def least_correlation(*crops: Crop) -> float:
    """The bound for faces that were cut in these ways."""
    return AS_IS if all(crop.policy == "as_is" for crop in crops) else ALIGNED


def pairs(
    left: np.ndarray, right: np.ndarray, look_left: Look, look_right: Look, least: float
) -> Iterator[tuple[int, int]]:
    """`(i, j)` of every picture `i` of one side that is picture `j` of the other.

    `left` and `right` are perceptual hashes, uint64 `[N]` and `[M]`; the same array for pairs within it, each
    once. Then come their thumbnails, and the least correlation.
    """
    within = left is right
    look_left = lru_cache(CACHED)(look_left)
    look_right = look_left if within else lru_cache(CACHED)(look_right)
    block = max(COMPARED // max(len(right), 1), 1)
    for start in range(0, len(left), block):
        others = start if within else 0
        differ = np.bitwise_count(left[start : start + block, None] ^ right[None, others:])
        for i, j in zip(*np.nonzero(differ <= BITS), strict=True):
            first, second = int(i) + start, int(j) + others
            if not (within and second <= first) and _alike(look_left(first), look_right(second)) >= least:
                yield first, second


def same_picture(
    hashes: np.ndarray, files: np.ndarray | Sequence[str], look: Look, least: float
) -> np.ndarray:
    """The number of the picture that each of N files shows, int `[N]`; copies share theirs.

    Args: as of `pairs`, and `files`, the same for files of the same bytes.
    """
    from scipy.sparse import coo_array  # a quarter of a second, for who compares pictures alone
    from scipy.sparse.csgraph import connected_components

    if not len(files):
        return np.empty(0, np.int64)
    file, _ = pd.factorize(np.asarray(files))
    first = np.unique(file, return_index=True)[1]

    def look_file(number: int) -> np.ndarray:
        return look(int(first[number]))

    own = hashes[first]
    rows, columns = np.array([*pairs(own, own, look_file, look_file, least)], np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(first), len(first)))
    return connected_components(graph, directed=False)[1][file]


def judge(rows: pd.DataFrame, group: np.ndarray, labels: Sequence[str], contradictory: bool) -> pd.DataFrame:
    """Which of the copies of a picture count: N rows `status` and `same_as`, see `pocketface.faces.index`.

    `rows` are N accepted ones of an index, `group` the number of the picture that each shows; if
    `contradictory`, copies with different labels count, each with its own.
    """
    copies = rows.assign(**{GROUP: group})
    order = copies["split"].map(SPLITS.index)
    last = copies[order == order.groupby(group).transform("max")]
    counts = last.drop_duplicates([GROUP, *labels] if contradictory else GROUP)
    status = pd.Series(MEASURED_TOO, index=rows.index)
    status[last.index] = DUPLICATE
    status[counts.index] = OK
    if not contradictory:
        unlike = (copies.groupby(GROUP)[list(labels)].nunique() > 1).any(axis=1)
        status[copies[GROUP].map(unlike)] = CONTRADICTORY
    kept = copies[GROUP].map(counts.drop_duplicates(GROUP).set_index(GROUP)["image"])
    copy = (status != OK) | (kept != rows["image"])  # of those that count, one with labels of its own
    return pd.DataFrame({"status": status, "same_as": kept.where(copy, None)})


def across(sets: Sequence[FaceSet]) -> list[FaceSet]:
    """The same datasets, in which a picture that several of them hold counts in one only.

    Where one of them measures it, it counts there; else in the first.
    """
    indexes = [faces.index.copy() for faces in sets]
    for (a, one), (b, other) in combinations(enumerate(sets), 2):
        ours, theirs = one.rows(), other.rows()
        for i, j in shared(one, ours, other, theirs):
            index, row, kept = indexes[b], theirs.iloc[j], ours.iloc[i]
            if SPLITS.index(kept["split"]) < SPLITS.index(row["split"]):
                index, row, kept = indexes[a], kept, row
            status = DUPLICATE if row["split"] == kept["split"] else MEASURED_TOO
            index.loc[row.name, ["status", "same_as"]] = [status, kept["image"]]
    return [replace(faces, index=index) for faces, index in zip(sets, indexes, strict=True)]


def shared(one: FaceSet, ours: pd.DataFrame, other: FaceSet, theirs: pd.DataFrame) -> set[tuple[int, int]]:
    """`(i, j)` of every row `i` of one dataset whose picture is that of row `j` of another."""
    by_sha: dict[str, list[int]] = {}
    for j, sha in enumerate(theirs["source_sha"]):
        by_sha.setdefault(sha, []).append(j)  # with labels of their own, copies count, too
    exact = {(i, j) for i, sha in enumerate(ours["source_sha"]) for j in by_sha.get(sha, ())}
    hashes = [rows["phash"].to_numpy(np.uint64) for rows in (ours, theirs)]
    least = least_correlation(one.crop, other.crop)
    return exact.union(pairs(hashes[0], hashes[1], _looks(one, ours), _looks(other, theirs), least))


def _looks(faces: FaceSet, rows: pd.DataFrame) -> Look:
    numbers = rows["face"].to_numpy(np.int64)
    return lambda row: thumbnail(faces.pixels[numbers[row]], faces.crop)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two thumbnails, at the shift where it is greatest."""
    middle = one[SHIFT:-SHIFT, SHIFT:-SHIFT]
    return float(cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED).max())
