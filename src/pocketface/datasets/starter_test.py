"""Synthetic photographs as in `pocketface.datasets.starter`, of another seed, all `test`: its hold-out."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace

from pocketface.datasets import Record, starter

LABELS = starter.LABELS
NAMES = starter.NAMES


def read(archive: zipfile.ZipFile) -> Iterator[Record]:
    """Records with `age` in years, `gender` and `expression`."""
    return (replace(record, split="test") for record in starter.read(archive))
