"""Photographs as a careless harness shows them to a model: the whole frame, squeezed to the input.

    seen = squeezed(picture, card.input, swapped=True)
    pictures = read("photos", Path("data/raw/photos/files.zip"), images)
    table = answers(variant, pictures, swapped=True)

This is how the 24-photo report evaluated its converted models: the frame as `cv2.imread` gives it (blue
first) through `cv2.resize` into the input, no face detected, aligned or cropped. It is here to show what that
costs, and nothing else in this package looks at pictures like this.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pocketface import datasets
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import decode
from pocketface.evaluation.variants import Variant
from pocketface.faces.settings import Input


def squeezed(picture: np.ndarray, input: Input, swapped: bool) -> np.ndarray:
    """The whole picture in a model's input.

    Args:
        picture: uint8 `[H, W, 3]`, RGB.
        input: what the model wants.
        swapped: whether red and blue change places on the way.

    Returns:
        uint8 `[size, size, channels]`; its proportions are lost.
    """
    frame = cv2.resize(picture, (input.size, input.size))
    if swapped:
        frame = np.ascontiguousarray(frame[..., ::-1])
    return frame if input.channels == 3 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None]


def read(dataset: str, archive: Path, images: Sequence[str]) -> list[np.ndarray]:
    """Whole pictures of a dataset, uint8 `[H, W, 3]`, RGB.

    Args:
        dataset: a module of `pocketface.datasets`.
        archive: its zip.
        images: names in it.

    Raises:
        PocketfaceError: the archive is missing or damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return [decode(datasets.open_picture(dataset, opened, image)) for image in images]
    except (OSError, zipfile.BadZipFile) as error:
        raise PocketfaceError(f"{archive}: {error}; `dvc repro fetch_data@{dataset}`") from None


def answers(variant: Variant, pictures: Sequence[np.ndarray], swapped: bool) -> pd.DataFrame:
    """What a model answers about squeezed pictures, a row a picture, see `pocketface.metrics.answers`."""
    pixels = np.stack([squeezed(picture, variant.input, swapped) for picture in pictures])
    return variant.decode(variant.runner(pixels))
