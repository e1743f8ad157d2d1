"""Datasets: one module each, one interface.

    for record in read("utkface", Path("data/raw/utkface")):
        record.image, record.labels, record.split

A module of this package *is* a dataset: its name is the name in `params.yaml` and in
`data/sources.yaml`, its docstring says what the pictures and labels are, and its function
`read(folder)` yields a `Record` for every source picture below the unpacked folder, in a fixed order.
To add one: a module here, an entry in `data/sources.yaml`, a stanza under `datasets:` in params.
"""

import hashlib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pocketface.errors import PocketfaceError

SPLITS = ("train", "val", "test")
VALIDATION_SHARE = 0.15
"""Of a dataset that has no split of its own."""


@dataclass(frozen=True)
class Record:
    """One source picture, before anyone has looked inside it.

    Attributes:
        image: path relative to the dataset's folder, with forward slashes.
        labels: column name -> value, see `pocketface.labels`; a label that is missing is left out.
        split: `train`, `val` or `test`.
        problem: why the picture cannot be used, known before opening it (`bad_name`, `no_label`).
    """

    image: str
    labels: Mapping[str, float | int | str] = field(default_factory=dict)
    split: str = "train"
    problem: str | None = None


def names() -> list[str]:
    """The datasets there are, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def read(name: str, folder: Path) -> Iterator[Record]:
    """The records of dataset `name`, unpacked in `folder`.

    Raises:
        PocketfaceError: no such dataset, or the folder does not hold what the dataset should.
    """
    if name not in names():
        raise PocketfaceError(f"no dataset {name!r}; there are {', '.join(names())}")
    yield from importlib.import_module(f"{__name__}.{name}").read(Path(folder))


def unit_hash(text: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on the text alone: the same on every machine, for ever."""
    digest = hashlib.sha256(f"{salt}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def hashed_split(key: str) -> str:
    """The split of a dataset that has none: 85% `train`, 15% `val`, by hash of `key`.

    `key` is the file name, or the identity where the dataset names it, so that nobody is in two splits.
    """
    return "val" if unit_hash(key, "split") < VALIDATION_SHARE else "train"


def in_sample(image: str, fraction: float) -> bool:
    """Whether a picture is in the fixed `fraction` of its dataset; a larger fraction holds a smaller one."""
    return unit_hash(image, "sample") < fraction
