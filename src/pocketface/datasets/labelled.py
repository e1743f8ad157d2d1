"""A dataset of somebody's own: pictures and `labels.csv`, as `pocketface data add` packs them.

A line a picture: `path`, `split` (empty where it goes by the content of the picture) and the labels; an empty
cell is a missing label.
"""

import csv
import zipfile
from collections.abc import Iterator

from pocketface.core.errors import PocketfaceError
from pocketface.core.hashing import SPLITS
from pocketface.core.labels import CELEBA_ATTRIBUTES
from pocketface.datasets import Record, lines, names, path_of

LABELS = ()
LIST = "labels.csv"


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with the labels of the list."""
    if path_of(archive, LIST) is None:
        raise PocketfaceError(
            f"{archive.filename}: has no {LIST}, as `pocketface data add` packs it, "
            f"and no reader has that name; there are {', '.join(names())}"
        )
    rows = csv.DictReader(lines(archive, LIST))
    if missing := {"path", "split"} - set(rows.fieldnames or ()):
        raise PocketfaceError(f"{archive.filename}: {LIST} has no column {', '.join(sorted(missing))}")
    for row in sorted(rows, key=lambda row: str(row["path"])):
        image, split = row.pop("path"), row.pop("split") or None
        if split not in (None, *SPLITS):
            raise PocketfaceError(f"{archive.filename}: {image}: no split {split!r}")
        try:
            yield Record(image, {label: _value(label, word) for label, word in row.items() if word}, split)
        except ValueError as error:
            raise PocketfaceError(f"{archive.filename}: {image}: {error}") from None


def _value(label: str, word: str) -> float | int | str:
    if label == "age":
        return float(word)
    return int(word) if label in CELEBA_ATTRIBUTES else word
