"""Calibration faces: which, and why those.

Integer levels need the range of every activation, measured on some faces. Ours are *train* faces only, a
fixed choice: the first by a hash of the name, so that they are a fair sample, the same on every machine,
and a smaller number is a prefix of a larger one. They are chosen before conversion, which therefore has no
path to a validation face.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketface.datasets import unit_hash
from pocketface.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.faces.view import views
from pocketface.study import Input

MOST = 500
FACES, LIST = "calibration.npy", "calibration.txt"


@dataclass(frozen=True)
class Calibration:
    """N faces as a model sees them.

    Attributes:
        pixels: uint8 `[N, H, W, C]`, raw 0..255.
        images: the N names in the dataset.
    """

    pixels: np.ndarray
    images: list[str]

    def first(self, count: int) -> "Calibration":
        """The first `count` of them."""
        return Calibration(self.pixels[:count], self.images[:count])

    def sha256(self) -> str:
        """The hash of the list of names, which stands in the card."""
        return hashlib.sha256("\n".join(self.images).encode()).hexdigest()


def choose(faces: FaceSet, input: Input) -> Calibration:
    """At most 500 train faces, seen as `input` wants.

    Raises:
        PocketfaceError: there is no train face.
    """
    train = faces.rows("train")
    if train.empty:
        raise PocketfaceError(f"dataset {faces.dataset} has no accepted train face to calibrate on")
    order = train["image"].map(lambda image: unit_hash(image, "calibration")).sort_values(kind="stable").index
    chosen = train.loc[order[:MOST]]
    pixels = views(faces.pixels[chosen["face"].to_numpy(np.int64)], faces.crop, input)
    return Calibration(pixels, list(chosen["image"]))


def save(calibration: Calibration, folder: Path) -> None:
    """Writes `calibration.npy` and `calibration.txt`, a name a line."""
    np.save(folder / FACES, calibration.pixels)
    (folder / LIST).write_text("\n".join(calibration.images) + "\n", encoding="utf-8")


def load(folder: Path) -> Calibration:
    """Reads what `save` wrote.

    Raises:
        PocketfaceError: a file is missing or damaged, or holds no face.
    """
    try:
        pixels = np.load(folder / FACES, allow_pickle=False)
        images = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise PocketfaceError(
            f"{folder}: no calibration faces ({error}); run `dvc repro select_faces@{folder.name}`"
        ) from None
    if len(pixels) == 0 or len(pixels) != len(images):
        raise PocketfaceError(f"{folder}: {len(pixels)} calibration faces for {len(images)} names")
    return Calibration(pixels, images)
