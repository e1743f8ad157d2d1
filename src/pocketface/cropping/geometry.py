"""Geometries: which part of a picture, turned how, becomes the stored crop of a face.

A window is a `dlib.chip_details`: a rectangle in picture pixels, an angle, a size to store. What of it lies
outside the picture is black, as in dlib's own chips.
"""

import functools

import dlib
import numpy as np

from pocketface.cropping.detect import Face
from pocketface.faces.settings import Crop

MEAN_FACE = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
"""float64 `[5, 2]`: the points of `Face` in dlib's mean face, whose square is 1 wide."""

NOSE = 4

TYPE_A_REACH = 0.4
TYPE_B_BETA, TYPE_B_SHIFT = 0.9, 16


def window(face: Face, shape: tuple[int, ...], crop: Crop) -> dlib.chip_details:
    """The window of `crop.geometry` for a face in a picture of `shape` `[H, W, ...]`."""
    if crop.geometry == "chip":
        return chip(face.points, crop.size, crop.margin)
    if crop.geometry == "type_a":
        return type_a(face, shape, crop.size, crop.epsilon, crop.shift)
    return type_b(face, crop.size)


def chip(points: np.ndarray, size: int, margin: float) -> dlib.chip_details:
    """The aligned chip: turned and scaled so that a face's points `[5, 2]` lie on those of the mean face.

    It spans 1 + 2 `margin` mean faces about the mean face's centre. This is
    `dlib.get_face_chip_details(points, size, padding=margin)`, for points of any precision.
    """
    return dlib.chip_details(_wanted(size, margin), _dpoints(points), dlib.chip_dims(size, size))


@functools.lru_cache(maxsize=64)
def _wanted(size: int, margin: float) -> dlib.dpoints:
    return _dpoints((margin + MEAN_FACE) / (1 + 2 * margin) * size)


def type_a(face: Face, shape: tuple[int, ...], size: int, epsilon: float, shift: float) -> dlib.chip_details:
    """Type A of the FaceNet report: an upright window around the nose, moved up.

    The report prints `y_min = y_nose (small - 0.2)`, `y_max = y_nose (grand - 0.2)`, `x_min = x_nose small`,
    `x_max = x_nose grand` with `grand = e + 0.2`, `small = e - 0.2`, `e = 0.5`: literally, the nose would lie
    outside its own crop. Yet the report says that the nose becomes the centre of the picture and that beards
    are hidden. Both hold if the shares are of the picture once the nose is its centre, at 0.5 = e. Written
    about the nose, with e now scaling the reach of 0.2:

        x_nose -/+ 0.4 e W,    y_nose - (0.4 e + shift) H ... y_nose + (0.4 e - shift) H

    It is meant for aligned pictures such as CelebA's, where shares of the picture, of `shape` `[H, W, ...]`,
    are shares of the face; `shift` is 0.2 in the report. The window is stretched to a square, as there.
    """
    height, width = shape[:2]
    x, y = face.points[NOSE]
    reach = TYPE_A_REACH * epsilon
    top, bottom = y - (reach + shift) * height, y + (reach - shift) * height
    return _upright(x - reach * width, top, x + reach * width, bottom, size)


def type_b(face: Face, size: int) -> dlib.chip_details:
    """Type B of the FaceNet report: an upright window around the centre of the box, a little longer below.

    `x = x_centre -/+ b w`, `y = y_centre - b h ... y_centre + b h + shift`, `b = 0.9`, `shift = h // 16`.
    (The report's alpha = 0.7 is in none of its formulas.)
    """
    left, top, right, bottom = face.box
    x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    below = TYPE_B_BETA * height + height // TYPE_B_SHIFT
    return _upright(
        x - TYPE_B_BETA * width, y - TYPE_B_BETA * height, x + TYPE_B_BETA * width, y + below, size
    )


def cut(picture: np.ndarray, where: dlib.chip_details) -> np.ndarray:
    """The pixels in a window, averaged before they are made fewer: uint8 `[size, size, 3]`."""
    return dlib.extract_image_chip(picture, where)


def _upright(left: float, top: float, right: float, bottom: float, size: int) -> dlib.chip_details:
    # dlib's rectangles include their right and bottom edge.
    edges = dlib.drectangle(left, top, right - 1, bottom - 1)
    return dlib.chip_details(edges, dlib.chip_dims(size, size), 0.0)


def _dpoints(points: np.ndarray) -> dlib.dpoints:
    return dlib.dpoints([dlib.dpoint(x, y) for x, y in points.tolist()])
