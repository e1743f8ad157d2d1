"""From BlazeFace's points to the crop that training saw: in Python what the app's `crop.js` does in the page.

    find = Finder(SHORT)
    for face in find(picture):                 # as `pocketface.cropping.detect.detect` gives them

Training cut faces along five points of dlib's. BlazeFace gives others: the middles of the eyes, the tip of
the nose, the middle of the mouth. What a crop needs is where dlib's mean face lies, and that is a centre c
and a vector a, one mean face wide, pointing right along it. Read as complex numbers both are taken to be
linear in the points p,

    a = sum of size[k] p[k],  sum of size[k] = 0,        c = sum of centre[k] p[k],  sum of centre[k] = 1,

which turns, grows and moves with the face. The weights are fitted on real faces by `benchmarks/align.py` and
kept in `pocketface/app/alignment.json`, which the page reads.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from page_looks import MIRROR, BlazeFace
from pydantic import Field

import pocketface.app
from pocketface.core.settings import Strict
from pocketface.cropping.detect import Face
from pocketface.cropping.geometry import MEAN_FACE

ALIGNMENT = Path(pocketface.app.__file__).with_name("alignment.json")
USED = 4
"""Points: the eyes, the nose and the mouth. With the ears a fit is worse on turned heads."""

MEAN = MEAN_FACE[:, 0] + 1j * MEAN_FACE[:, 1]
MIDDLE = 0.5 + 0.5j

Weight = tuple[float, float]
"""Real and imaginary part."""


class Alignment(Strict):
    """The fitted weights of eye, eye, nose, mouth; and how many faces they come from."""

    size: tuple[Weight, ...] = Field(min_length=USED, max_length=USED)
    centre: tuple[Weight, ...] = Field(min_length=USED, max_length=USED)
    faces: int

    def place(self, points: np.ndarray) -> tuple[complex, complex]:
        """Where the mean face lies, a and c, for BlazeFace's points float `[6, 2]`."""
        known = _complex(points[:USED])
        size, centre = (_complex(np.array(weights)) for weights in (self.size, self.centre))
        return complex(size @ known), complex(centre @ known)


def load() -> Alignment:
    """The weights that the page has."""
    return Alignment.model_validate(json.loads(ALIGNMENT.read_text(encoding="utf-8")))


class Finder:
    """Finds faces as the page does, and gives them as dlib's detector would."""

    def __init__(self, detector: Path):
        self._detector, self._alignment = BlazeFace(detector), load()

    def __call__(self, picture: np.ndarray) -> list[Face]:
        """The faces in a picture uint8 `[H, W, 3]`, RGB, largest first; their points are the mean face's."""
        faces = []
        for found in self._detector(picture):
            size, centre = self._alignment.place(found.points)
            left, top, right, bottom = (round(float(edge)) for edge in found.box)
            faces.append(Face((left, top, right, bottom), mean_face(size, centre)))
        return sorted(faces, key=lambda face: (-face.side, face.box))


def mean_face(size: complex, centre: complex) -> np.ndarray:
    """The five points of the mean face that is placed so, float64 `[5, 2]`, in dlib's pixels.

    dlib counts from the centre of the first pixel, BlazeFace from its corner.
    """
    points = centre + size * (MEAN - MIDDLE) - MIDDLE
    return np.column_stack([points.real, points.imag])


def place_of(points: np.ndarray) -> tuple[complex, complex]:
    """Where the mean face lies that fits dlib's five points best: a and c, the inverse of `mean_face`."""
    seen, mean = _complex(points) + MIDDLE, MEAN.mean()
    size = (np.conj(MEAN - mean) @ (seen - seen.mean())) / (abs(MEAN - mean) ** 2).sum()
    return complex(size), complex(seen.mean() + size * (MIDDLE - mean))


def fit(points: np.ndarray, places: Sequence[tuple[complex, complex]]) -> Alignment:
    """The weights with the least squared error, in face widths; each face counts with its mirror image too.

    Args:
        points: BlazeFace's, float `[N, 6, 2]`.
        places: where the mean face lies in truth: a and c of each.
    """
    known = _complex(points)
    sizes, centres = np.array(places).T
    # In a mirror x becomes -x; a still points to the right.
    known = np.concatenate([known, -np.conj(known[:, MIRROR])])[:, :USED]
    sizes, centres = np.concatenate([sizes, np.conj(sizes)]), np.concatenate([centres, -np.conj(centres)])
    first = known[:, :1]
    relative = (known - first)[:, 1:] / abs(sizes)[:, None]
    size, *_ = np.linalg.lstsq(relative, sizes / abs(sizes), rcond=None)
    centre, *_ = np.linalg.lstsq(relative, (centres - first[:, 0]) / abs(sizes), rcond=None)
    return Alignment(
        size=_weights([-size.sum(), *size]), centre=_weights([1 - centre.sum(), *centre]), faces=len(points)
    )


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _weights(values: Sequence[complex]) -> tuple[Weight, ...]:
    return tuple((float(value.real), float(value.imag)) for value in values)
