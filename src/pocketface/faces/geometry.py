"""Geometries: which part of a picture, turned how, becomes the stored crop of a face.

    where = window(face, picture.shape, crop)
    pixels = cut(picture, where)           # uint8 [size, size, 3]

A window is a `dlib.chip_details`: a square in picture pixels, an angle, a size to store. It may reach over
the picture's edge. What lies outside is black: that is what dlib's own chips hold, it invents no pixels,
and a model sees the same in training and in use.
"""

import dlib
import numpy as np

from pocketface.faces.detect import Face
from pocketface.study import Crop

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

TYPE_A_EPSILON, TYPE_A_SHIFT = 0.5, 0.2
TYPE_B_BETA, TYPE_B_SHIFT = 0.9, 16


def window(face: Face, shape: tuple[int, ...], crop: Crop) -> dlib.chip_details:
    """The window of `crop.geometry` for a face in a picture of `shape` `[H, W, ...]`."""
    if crop.geometry == "chip":
        return chip(face, crop.size, crop.margin)
    if crop.geometry == "type_a":
        return type_a(face, shape, crop.size)
    return type_b(face, crop.size)


def chip(face: Face, size: int, margin: float) -> dlib.chip_details:
    """The aligned chip: turned and scaled so that the points lie on those of the mean face.

    It spans 1 + 2 `margin` mean faces about the mean face's centre. This is
    `dlib.get_face_chip_details(points, size, padding=margin)`, for points of any precision.
    """
    wanted = (margin + MEAN_FACE) / (1 + 2 * margin) * size
    return dlib.chip_details(_dpoints(wanted), _dpoints(face.points), dlib.chip_dims(size, size))


def type_a(
    face: Face,
    shape: tuple[int, ...],
    size: int,
    epsilon: float = TYPE_A_EPSILON,
    shift: float = TYPE_A_SHIFT,
) -> dlib.chip_details:
    """Type A of the FaceNet report: an upright square around the nose, moved up.

    The report prints `y_min = y_nose (small - 0.2)`, `y_max = y_nose (grand - 0.2)`,
    `x_min = x_nose small`, `x_max = x_nose grand` with `grand = e + 0.2`, `small = e - 0.2`, `e = 0.5`. Taken
    literally the nose would lie right of `x_max = 0.7 x_nose`, outside its own crop; yet the report says
    that the nose becomes the centre of the picture and that beards are hidden. The reading here keeps
    both: `e` is half the side as a share of the picture's side, so 0.5 keeps the picture's size and only
    centres it on the nose; the 0.2 moves it up, so that it reaches `grand` above the nose and `small`
    below it, which ends above the chin:

        x in x_nose -/+ e S,    y in y_nose - (e + shift) S ... y_nose + (e - shift) S

    Args:
        face: whose nose.
        shape: of the picture, `[H, W, ...]`; its shorter side is S.
        size: of the crop to store, in pixels.
        epsilon: half the side of the window, as a share of S.
        shift: how far it is moved up, as a share of S.
    """
    side = min(shape[:2])
    x, y = face.points[NOSE]
    return _square(x, y - shift * side, epsilon * side, size)


def type_b(face: Face, size: int) -> dlib.chip_details:
    """Type B of the FaceNet report: an upright square around the centre of the box, moved up.

    The report prints alpha = 0.7 and beta = 0.9, meant for width and height, but its formula uses beta for
    both; so does this. They are read as half the side, in box sides: 0.7 and 0.9 of a whole side would cut
    into the eyes and the chin that the box encloses. The shift is a sixteenth of the box's height,
    rounded down, upwards, for the box sits low on the head.
    """
    left, top, right, bottom = face.box
    shift = (bottom - top) // TYPE_B_SHIFT
    return _square((left + right) / 2, (top + bottom) / 2 - shift, TYPE_B_BETA * face.side, size)


def cut(picture: np.ndarray, where: dlib.chip_details) -> np.ndarray:
    """The pixels in a window, averaged before they are made fewer: uint8 `[size, size, 3]`."""
    return dlib.extract_image_chip(picture, where)


def _square(x: float, y: float, half: float, size: int) -> dlib.chip_details:
    # dlib's rectangles include their right and bottom edge.
    edges = dlib.drectangle(x - half, y - half, x + half - 1, y + half - 1)
    return dlib.chip_details(edges, dlib.chip_dims(size, size), 0.0)


def _dpoints(points: np.ndarray) -> dlib.dpoints:
    return dlib.dpoints([dlib.dpoint(x, y) for x, y in points])
