"""What may leave the machine: lists of allowed names, and what must never be among them."""

import re
from collections.abc import Iterable
from pathlib import Path

PRIVATE = ("me.jpg", "me.png", "me.tflite", "card.json.orig", ".env", "kaggle.json", "crops.bin", "mlflow.db")
"""Photographs, caches, secrets: what people leave lying about."""


def plant(*folders: Path) -> None:
    """Leaves private files in each folder."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PRIVATE:
            (folder / name).write_bytes(b"private")


def strangers(names: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Those names that match none of the patterns."""
    patterns = [re.compile(pattern) for pattern in allowed]
    return [name for name in names if not any(pattern.fullmatch(name) for pattern in patterns)]


def names_in(folder: Path) -> list[str]:
    """The files below a folder, as paths from it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
