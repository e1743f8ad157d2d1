"""Training faces as canvases: aligned, 56 pixels wide, with a little room around the face.

    canvases = load([FaceSet.load(Path("data/faces/utkface")), ...], "train")
    canvases.pixels                     # uint8 [N, 56, 56, 3]

The crops have a margin of 0.4 (see `datasets` in the study), of which a canvas keeps the inner part: 1.58
mean faces wide, a little more above than below, as wide as the pictures of UTKFace and FER2013 reach. What
lay outside of a picture is black in a crop; nothing is learnt there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from pocketface.core.labels import EXPRESSIONS, GENDERS
from pocketface.faces.index import FaceSet

SIZE = 56
CHIP = 64
"""Pixels of the whole crop, on the same scale."""
TOP, LEFT = 1, 4
"""Of a canvas in its crop."""


@dataclass(frozen=True)
class Canvases:
    """Faces to learn from.

    Attributes:
        pixels: uint8 `[N, SIZE, SIZE, 3]`.
        seen: bool `[N, SIZE, SIZE]`, false outside of the picture.
        colour: bool `[N]`, false for a grey picture.
        age: float32 `[N]`, years; NaN where unknown.
        gender: int `[N]`, place in `GENDERS`; -1 where unknown.
        expression: int `[N]`, place in `EXPRESSIONS`; -1 where unknown.
    """

    pixels: np.ndarray
    seen: np.ndarray
    colour: np.ndarray
    age: np.ndarray
    gender: np.ndarray
    expression: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


def load(sets: Sequence[FaceSet], split: str) -> Canvases:
    """The accepted faces of a split, of all sets."""
    parts = [_of_set(faces, faces.rows(split)) for faces in sets]
    fields = Canvases.__dataclass_fields__
    return Canvases(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def _of_set(faces: FaceSet, rows: pd.DataFrame) -> Canvases:
    stored = [np.asarray(faces.pixels[face]) for face in rows["face"]]
    return Canvases(
        pixels=np.stack([_small(face) for face in stored]),
        seen=np.stack([_seen(face) for face in stored]),
        colour=np.full(len(rows), faces.pixels.shape[3] == 3),
        age=rows["age"].to_numpy(np.float32),
        gender=_codes(rows["gender"], GENDERS),
        expression=_codes(rows["expression"], EXPRESSIONS),
    )


def _small(face: np.ndarray) -> np.ndarray:
    small = cv2.resize(face, (CHIP, CHIP), interpolation=cv2.INTER_AREA)
    return _inner(cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small)


def _seen(face: np.ndarray) -> np.ndarray:
    """Where a crop is not black in a piece, nor next to it; bool `[SIZE, SIZE]`."""
    lit = (face.max(axis=2) > 0).astype(np.uint8)
    lit = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    lit = cv2.erode(lit, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return _inner(cv2.resize(lit, (CHIP, CHIP), interpolation=cv2.INTER_NEAREST).astype(bool))


def _inner(crop: np.ndarray) -> np.ndarray:
    return crop[TOP : TOP + SIZE, LEFT : LEFT + SIZE]


def _codes(words: pd.Series, vocabulary: tuple[str, ...]) -> np.ndarray:
    return np.asarray(pd.Categorical(words, categories=vocabulary).codes, np.int64)
