"""BlazeFace: the small face detector that the page uses, here in Python.

    for found in BlazeFace(file)(picture):     # the surest first
        found.box, found.points, found.score

The page has the same in `app/src/blazeface.ts`, and a test holds the two together. The network is the short
range one of Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019. It
sees 128x128 pixels, and gives for each of 896 anchors a score and, relative to it, a box and six points. It
was made for the face before a phone, so it looks at the whole picture and then, for smaller faces, at
overlapping parts of it. At 128 pixels the points are a few pixels off: each face is looked at once more from
close by, as it is and in a mirror, which halves the error.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketface.core.errors import PocketfaceError

SIDE = 128
"""Pixels of the square that the network sees."""
GRIDS = ((16, 2), (8, 6))
"""`(n, k)`: k anchors at the centre of each of n x n cells; cells row by row, one grid after the other."""
POINTS = ("eye_left", "eye_right", "nose", "mouth", "ear_left", "ear_right")
"""The six points in the network's order; left and right are the picture's."""

MIRROR = [1, 0, 2, 3, 5, 4]
"""The points in the order that a mirrored face has them."""

MIN_SCORE = 0.5
SAME_FACE = 0.3
"""Overlap (intersection over union) from which two boxes of one look are of one face."""
PART = 0.6
"""Side of a part that is looked at by itself, as a share of the picture's longer side."""
COVERED = 0.5
"""Share of the smaller of two boxes that lies in the other, from which two looks have seen one face."""
CLOSE = 2.0
"""Side of the square that is looked at once more for a face's points, in sides of its box."""

Region = tuple[int, int, int, int]
"""`(left, top, right, bottom)` in pixels; right and bottom are exclusive."""


@dataclass(frozen=True)
class Found:
    """A face that BlazeFace found.

    Attributes:
        score: 0 to 1.
        box: float64 `[4]`: left, top, right, bottom in pixels, from brows to chin.
        points: float64 `[6, 2]`, see `POINTS`; x and y in pixels.
    """

    score: float
    box: np.ndarray
    points: np.ndarray


class BlazeFace:
    """The detector, loaded.

    Raises:
        PocketfaceError: the file is not that network.
    """

    def __init__(self, file: Path):
        try:
            self._interpreter = Interpreter(model_path=str(file), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise PocketfaceError(f"{file}: not a runnable TFLite model ({error})") from None
        self._input = self._interpreter.get_input_details()[0]
        ports = {tuple(port["shape"]): port["index"] for port in self._interpreter.get_output_details()}
        values, scores = (1, len(ANCHORS), 4 + 2 * len(POINTS)), (1, len(ANCHORS), 1)
        if tuple(self._input["shape"]) != (1, SIDE, SIDE, 3) or not {values, scores} <= set(ports):
            raise PocketfaceError(f"{file}: not BlazeFace's network for {SIDE}x{SIDE} pixels")
        self._outputs = ports[values], ports[scores]

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
        region = close_by(face.box)
        looks = []
        for mirror in (False, True):
            nearby = [
                other for other in self._look(picture, region, mirror) if _shared(other.box, face.box) > 0
            ]
            if nearby:
                looks.append(max(nearby, key=lambda other: overlap(other.box, face.box)).points)
        return np.mean(looks, axis=0) if looks else face.points

    def _look(self, picture: np.ndarray, region: Region, mirror: bool = False) -> list[Found]:
        left, top, *_ = region
        seen, scale, x, y = letterboxed(part(picture, region))
        if mirror:
            seen = seen[:, ::-1]
        self._interpreter.set_tensor(self._input["index"], seen[None].astype(np.float32) / 127.5 - 1)
        self._interpreter.invoke()
        values, scores = (self._interpreter.get_tensor(port)[0].astype(float) for port in self._outputs)
        faces = merged(decoded(values, scores[:, 0]))
        return [
            moved(mirrored(face) if mirror else face, scale, left - x / scale, top - y / scale)
            for face in faces
        ]


def regions(width: int, height: int) -> Iterator[Region]:
    """What is looked at: the whole picture, then its corners, each a square of `PART` of the longer side."""
    yield 0, 0, width, height
    side = round(PART * max(width, height))
    for top in sorted({0, max(height - side, 0)}):
        for left in sorted({0, max(width - side, 0)}):
            yield left, top, min(left + side, width), min(top + side, height)


def close_by(box: np.ndarray) -> Region:
    """The square about a face for a closer look; it may reach over the picture's edge."""
    side = max(round(CLOSE * float((box[2:] - box[:2]).max())), 1)
    left, top = (round(float(middle) - side / 2) for middle in (box[:2] + box[2:]) / 2)
    return left, top, left + side, top + side


def part(picture: np.ndarray, region: Region) -> np.ndarray:
    """The pixels of a region; black where it reaches over the edge."""
    left, top, right, bottom = region
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if (x0, y0, x1, y1) == region:
        return picture[top:bottom, left:right]
    pixels = np.zeros((bottom - top, right - left, 3), np.uint8)
    pixels[y0 - top : max(y1, y0) - top, x0 - left : max(x1, x0) - left] = picture[y0:y1, x0:x1]
    return pixels


def letterboxed(picture: np.ndarray) -> tuple[np.ndarray, float, int, int]:
    """The picture in the middle of a black square of `SIDE`, how much smaller it is, and where it begins."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=way)
    return square, scale, left, top


def decoded(values: np.ndarray, scores: np.ndarray) -> list[Found]:
    """The faces with a score of at least `MIN_SCORE`, in pixels of the square, the surest first.

    Args:
        values: float `[896, 16]`: centre, width and height of the box, then the points; in pixels,
            relative to the anchor but for the size.
        scores: float `[896]`, before the logistic function.
    """
    certain = 1 / (1 + np.exp(-scores.clip(-80, 80)))
    faces = []
    for i in np.argsort(-certain, kind="stable"):
        if certain[i] < MIN_SCORE:
            break
        centre, half = ANCHORS[i] + values[i, :2], values[i, 2:4] / 2
        box = np.concatenate([centre - half, centre + half])
        faces.append(Found(float(certain[i]), box, ANCHORS[i] + values[i, 4:].reshape(-1, 2)))
    return faces


def merged(faces: list[Found]) -> list[Found]:
    """One face for each group that overlaps its surest: their mean, weighted by score."""
    left, result = list(faces), []
    while left:
        same = [face for face in left if face is left[0] or overlap(face.box, left[0].box) > SAME_FACE]
        weights = [face.score for face in same]
        box = np.average([face.box for face in same], axis=0, weights=weights)
        points = np.average([face.points for face in same], axis=0, weights=weights)
        result.append(Found(left[0].score, box, points))
        left = [face for face in left if not any(face is other for other in same)]
    return result


def mirrored(face: Found) -> Found:
    """A face in the mirrored square: left becomes right, for the points as well."""
    left, top, right, bottom = face.box
    points = face.points[MIRROR] * (-1, 1) + (SIDE, 0)
    return Found(face.score, np.array([SIDE - right, top, SIDE - left, bottom]), points)


def moved(face: Found, scale: float, left: float, top: float) -> Found:
    """A face in pixels of a larger picture, of which the square shows a part that begins at (left, top)."""
    corner = np.array([left, top])
    return Found(face.score, (face.box.reshape(2, 2) / scale + corner).ravel(), face.points / scale + corner)


def cut_off(box: np.ndarray, region: Region, width: int, height: int) -> bool:
    """Whether a box reaches over an edge of the region that is not one of the picture."""
    left, top, right, bottom = region
    return bool(
        (left > 0 and box[0] < left)
        or (top > 0 and box[1] < top)
        or (right < width and box[2] > right)
        or (bottom < height and box[3] > bottom)
    )


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    both = _shared(one, other)
    union = _area(one) + _area(other) - both
    return both / union if union > 0 else 0.0


def covered(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the smaller box that lies in the other."""
    smaller = min(_area(one), _area(other))
    return _shared(one, other) / smaller if smaller > 0 else 0.0


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    return float((np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).clip(0).prod())


def _area(box: np.ndarray) -> float:
    return float((box[2:] - box[:2]).clip(0).prod())


def _anchors() -> np.ndarray:
    centres = [
        np.repeat([((x + 0.5) / n, (y + 0.5) / n) for y in range(n) for x in range(n)], k, axis=0)
        for n, k in GRIDS
    ]
    return np.concatenate(centres) * SIDE


ANCHORS = _anchors()
"""float64 `[896, 2]`: x and y in pixels of the square."""
