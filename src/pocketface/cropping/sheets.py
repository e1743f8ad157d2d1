"""Contact sheets: many faces, or rejected pictures with their reasons, on one page to look through.

They show people, so they stay out of git; a stage makes them on request only.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from pocketface import datasets
from pocketface.core.files import written_whole
from pocketface.cropping.picture import Rejected, decode
from pocketface.faces.index import OK, FaceSet

T = TypeVar("T")

TILE = 120
COLUMNS = 16
MOST = 20 * COLUMNS
"""Tiles on a sheet; of more, every n-th is shown."""


def write_sheets(faces: FaceSet, archive: Path, folder: Path) -> list[Path]:
    """Writes `DATASET-accepted.png` and, if there are any, `DATASET-rejected.png`; returns their paths.

    Args:
        faces: what came of a dataset.
        archive: the zip that holds its files, to show the rejected pictures.
        folder: where the sheets go.
    """
    tiles = {"accepted": [_tile(faces.pixels[i]) for i in _spread(range(len(faces.pixels)))]}
    rejected = faces.index[faces.index["status"] != OK]
    with zipfile.ZipFile(archive) as opened:
        tiles["rejected"] = [
            _titled(_opened(faces.dataset, opened, image), status)
            for image, status in _spread(list(zip(rejected["image"], rejected["status"], strict=True)))
        ]
    written = []
    for name, shown in tiles.items():
        if shown:
            path = Path(folder) / f"{faces.dataset}-{name}.png"
            with written_whole(path) as partial:
                page = cv2.cvtColor(_page(shown), cv2.COLOR_RGB2BGR)
                partial.write_bytes(cv2.imencode(".png", page)[1].tobytes())
            written.append(path)
    return written


def _spread(items: Sequence[T]) -> Sequence[T]:
    return items[:: -(-len(items) // MOST) or 1]


def _opened(dataset: str, archive: zipfile.ZipFile, image: str) -> np.ndarray:
    """The picture, or a blank one if it cannot be decoded."""
    try:
        return decode(datasets.open_picture(dataset, archive, image))
    except Rejected:
        return np.full((TILE, TILE, 3), 64, np.uint8)


def _tile(picture: np.ndarray) -> np.ndarray:
    """A picture `[H, W, C]` fitted into a tile, uint8 `[TILE, TILE, 3]`."""
    height, width = picture.shape[:2]
    scale = TILE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.zeros((TILE, TILE, 3), np.uint8)
    tile[: size[1], : size[0]] = small.reshape(size[1], size[0], -1)
    return tile


def _titled(picture: np.ndarray, title: str) -> np.ndarray:
    tile = _tile(picture)
    tile[-16:] = 0
    white = (255, 255, 255)
    return cv2.putText(tile, title, (3, TILE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, white, 1, cv2.LINE_AA)


def _page(tiles: Sequence[np.ndarray]) -> np.ndarray:
    rows = -(-len(tiles) // COLUMNS)
    blank = [np.zeros((TILE, TILE, 3), np.uint8)] * (rows * COLUMNS - len(tiles))
    grid = np.stack([*tiles, *blank]).reshape(rows, COLUMNS, TILE, TILE, 3)
    return grid.swapaxes(1, 2).reshape(rows * TILE, COLUMNS * TILE, 3)
