"""Contact sheets: many faces, or rejected pictures with their reasons, on one page; they stay out of git."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from pocketface import datasets
from pocketface.core.files import written_whole
from pocketface.cropping.picture import Rejected, decode
from pocketface.faces.index import OK, FaceSet
from pocketface.faces.view import with_channels

T = TypeVar("T")

TILE = 120
COLUMNS = 16
MOST = 20 * COLUMNS
"""Tiles on a sheet; of more, every n-th is shown."""


def write_sheets(faces: FaceSet, archive: Path, folder: Path) -> list[Path]:
    """Writes `DATASET-accepted.png` and `DATASET-rejected.png` into a folder; returns their paths.

    `archive` is the dataset's zip, to show the rejected pictures.
    """
    shown = {"accepted": [(faces.pixels[i], "") for i in _spread(range(len(faces.pixels)))]}
    rejected = faces.index.loc[faces.index["status"] != OK, ["image", "status"]]
    with zipfile.ZipFile(archive) as opened:
        shown["rejected"] = [
            (_opened(faces.dataset, opened, image), status)
            for image, status in _spread(rejected.to_numpy().tolist())
        ]
    written = []
    for name, pictures in shown.items():
        if pictures:
            written.append(Path(folder) / f"{faces.dataset}-{name}.png")
            with written_whole(written[-1]) as partial:
                _page(pictures).save(partial, "PNG")
    return written


def _spread(items: Sequence[T]) -> Sequence[T]:
    return items[:: -(-len(items) // MOST) or 1]


def _opened(dataset: str, archive: zipfile.ZipFile, image: str) -> np.ndarray:
    try:
        return decode(datasets.open_picture(dataset, archive, image))
    except Rejected:
        return np.full((TILE, TILE, 3), 64, np.uint8)


def _page(pictures: Sequence[tuple[np.ndarray, str]]) -> Image.Image:
    """Pictures `[H, W, C]`, each fitted into a tile with its title at the bottom."""
    page = Image.new("RGB", (COLUMNS * TILE, -(-len(pictures) // COLUMNS) * TILE))
    draw = ImageDraw.Draw(page)
    for i, (pixels, title) in enumerate(pictures):
        left, top = i % COLUMNS * TILE, i // COLUMNS * TILE
        page.paste(ImageOps.contain(Image.fromarray(with_channels(pixels, 3)), (TILE, TILE)), (left, top))
        if title:
            draw.rectangle((left, top + TILE - 16, left + TILE - 1, top + TILE - 1), "black")
            draw.text((left + 3, top + TILE - 14), title)
    return page
