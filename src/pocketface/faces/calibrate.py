"""The faces that conversion may see: which, and why those.

Integer levels measure the range of every activation on the `first` ones; `mixed_int8` and `qat_int8` look at
further ones, for `tuning`. All are *train* faces, chosen by a hash of the name.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import made_by
from pocketface.core.hashing import unit_hash
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Input
from pocketface.faces.view import views

MOST = 500
TUNING = 1000
FACES, LIST, LABELS = "calibration.npy", "calibration.txt", "calibration.parquet"


@dataclass(frozen=True)
class Calibration:
    """N faces as a model sees them: uint8 `[N, H, W, C]`, their names, and N rows of labels."""

    pixels: np.ndarray
    images: list[str]
    labels: pd.DataFrame

    def first(self, count: int) -> "Calibration":
        """The first `count` of them."""
        return self._part(slice(count))

    def tuning(self) -> "Calibration":
        """Those that no range is measured on: after the first 500, or the second half of fewer."""
        return self._part(slice(min(MOST, len(self.images) // 2), None))

    def _part(self, part: slice) -> "Calibration":
        return Calibration(self.pixels[part], self.images[part], self.labels[part].reset_index(drop=True))

    def sha256(self) -> str:
        """The hash of the list of names, which stands in the card."""
        return hashlib.sha256("\n".join(self.images).encode()).hexdigest()


def choose(faces: FaceSet, input: Input, detail: int | None = None) -> Calibration:
    """At most 1,500 train faces, seen as `input` and `detail` want, see `pocketface.faces.view`; none is a
    `PocketfaceError`."""
    train = faces.rows("train")
    if train.empty:
        raise PocketfaceError(f"dataset {faces.dataset} has no accepted train face to calibrate on")
    order = train["image"].map(lambda image: unit_hash(image, "calibration")).sort_values(kind="stable").index
    chosen = train.loc[order[: MOST + TUNING]]
    pixels = views(faces.pixels[chosen["face"].to_numpy(np.int64)], faces.crop, input, detail)
    return Calibration(pixels, list(chosen["image"]), chosen[faces.labels].reset_index(drop=True))


def save(calibration: Calibration, folder: Path) -> None:
    """Writes `calibration.npy`, `calibration.txt` (a name a line) and `calibration.parquet` (the labels)."""
    np.save(folder / FACES, calibration.pixels)
    (folder / LIST).write_text("\n".join(calibration.images) + "\n", encoding="utf-8")
    calibration.labels.to_parquet(folder / LABELS, index=False)


def load(folder: Path) -> Calibration:
    """Reads what `save` wrote; a missing, damaged or empty file is a `PocketfaceError`."""
    with made_by(f"select_faces@{folder.name}", folder, "calibration faces"):
        pixels = np.load(folder / FACES, allow_pickle=False)
        images = (folder / LIST).read_text(encoding="utf-8").splitlines()
        labels = pd.read_parquet(folder / LABELS)
    if len(pixels) == 0 or not len(pixels) == len(images) == len(labels):
        raise PocketfaceError(f"{folder}: {len(pixels)} calibration faces for {len(images)} names")
    return Calibration(pixels, images, labels)
