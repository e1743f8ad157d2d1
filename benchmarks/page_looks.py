"""How the page looks for faces, here in Python.

    for found in BlazeFace(file)(picture):     # the surest first
        found.box, found.points, found.score

The page has the same in `src/pocketface/app/page/blazeface.js`, and a test holds the two together. It has the
short range network alone look at the whole picture and then, for smaller faces, at overlapping parts of it.
At 128 pixels the points are a few pixels off, and the page has no dlib to find better ones: each face is
looked at once more from close by, as it is and in a mirror, which halves the error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pocketface.cropping.blazeface import (
    COVERED,
    Network,
    Region,
    close_by,
    covered,
    cut_off,
    overlap,
    shared,
)

MIRROR = [1, 0, 2, 3, 5, 4]
"""The points in the order that a mirrored face has them."""
PART = 0.6
"""Side of a part that is looked at by itself, as a share of the picture's longer side."""


@dataclass(frozen=True)
class Found:
    """A face that BlazeFace found.

    Attributes:
        score: 0 to 1.
        box: float64 `[4]`: left, top, right, bottom in pixels, from brows to chin.
        points: float64 `[6, 2]`, see `pocketface.cropping.blazeface.POINTS`; x and y in pixels.
    """

    score: float
    box: np.ndarray
    points: np.ndarray


class BlazeFace:
    """The detector, loaded."""

    def __init__(self, file: Path):
        self._network = Network(file, sampling=cv2.INTER_AREA)

    def __call__(self, picture: np.ndarray) -> list[Found]:
        """The faces in a picture uint8 `[H, W, 3]`, RGB; of the whole picture first, the surest first."""
        height, width = picture.shape[:2]
        found: list[Found] = []
        for region in regions(width, height):
            for face in self._look(picture, region):
                if not cut_off(face.box, region, width, height) and not any(
                    covered(face.box, other.box) > COVERED for other in found
                ):
                    found.append(face)
        return [replace(face, points=self._closer(picture, face)) for face in found]

    def _closer(self, picture: np.ndarray, face: Found) -> np.ndarray:
        """The points of a face, the mean of two closer looks; those it has where a closer look sees none."""
        left, top, right, bottom = region = close_by(face.box)
        width = picture.shape[1]
        in_mirror = self._look(picture[:, ::-1].copy(), (width - right, top, width - left, bottom))
        looks = []
        for close in (self._look(picture, region), [mirrored(other, width) for other in in_mirror]):
            if nearby := [other for other in close if shared(other.box, face.box) > 0]:
                looks.append(max(nearby, key=lambda other: overlap(other.box, face.box)).points)
        return np.mean(looks, axis=0) if looks else face.points

    def _look(self, picture: np.ndarray, region: Region) -> list[Found]:
        return [Found(*face) for face in zip(*self._network.look(picture, region), strict=True)]


def mirrored(face: Found, width: int) -> Found:
    """The face in the mirror of a picture that is so wide."""
    left, top, right, bottom = face.box
    box = np.array([width - right, top, width - left, bottom])
    return Found(face.score, box, face.points[MIRROR] * (-1, 1) + (width, 0))


def regions(width: int, height: int) -> Iterator[Region]:
    """What is looked at: the whole picture, then its corners, each a square of `PART` of the longer side."""
    yield 0, 0, width, height
    side = round(PART * max(width, height))
    for top in sorted({0, max(height - side, 0)}):
        for left in sorted({0, max(width - side, 0)}):
            yield left, top, min(left + side, width), min(top + side, height)
