"""From a picture to stored crops: detection, policy, geometry, colour.

The policy says which of the faces that were found is the one the labels are about, if any: `one` follows the
preprocessing of CACD; `largest` suits photographs of one person with others behind.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from pocketface.cropping import geometry
from pocketface.cropping.detect import Box, Face, detect
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Crop
from pocketface.faces.view import with_channels

TINY = 1 / 4
"""A face whose box is smaller than this share of the stored crop would be mostly interpolation."""

CUT = 0.4
"""Share of the box's area outside the picture from which a face counts as cut. Lenient, for the HOG box of a
tightly cropped face reaches over the edges while eyes, nose and mouth are all there."""


def crop_picture(picture: np.ndarray, crop: Crop) -> tuple[np.ndarray, Box]:
    """The crop of the face that a picture's labels are about.

    Args:
        picture: uint8 `[H, W, 3]`, RGB.
        crop: which face, and how it is cut out.

    Returns:
        The face, uint8 `[crop.size, crop.size, crop.channels]`, and its box; under the policy `as_is` that of
        `central_square`.

    Raises:
        Rejected: see `choose`.
    """
    if crop.policy == "as_is":
        left, top, right, bottom = box = central_square(picture.shape)
        square = picture[top:bottom, left:right]
        if len(square) != crop.size:
            way = cv2.INTER_AREA if len(square) > crop.size else cv2.INTER_LINEAR
            square = cv2.resize(square, (crop.size, crop.size), interpolation=way)
        return with_channels(square, crop.channels), box
    face = choose(detect(picture, crop.detector, crop.upsample), picture.shape, crop)
    return cut_face(picture, face, crop), face.box


def cut_face(picture: np.ndarray, face: Face, crop: Crop) -> np.ndarray:
    """The crop of a face that was found, uint8 `[crop.size, crop.size, crop.channels]`."""
    return with_channels(geometry.cut(picture, geometry.window(face, picture.shape, crop)), crop.channels)


def central_square(shape: tuple[int, ...]) -> Box:
    """The largest square in the middle of a picture of `shape` `[H, W, ...]`."""
    height, width = shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def choose(faces: Sequence[Face], shape: tuple[int, ...], crop: Crop) -> Face:
    """The face to use, of those found in a picture of `shape` `[H, W, ...]`, largest first.

    Raises:
        Rejected: `no_face`; under `one` also `many_faces`, `tiny_face`, `cut_face`.
    """
    if not faces:
        raise Rejected("no_face")
    face = faces[0]
    if crop.policy == "one":
        if len(faces) > 1:
            raise Rejected("many_faces", f"{len(faces)} faces")
        if face.side < TINY * crop.size:
            raise Rejected("tiny_face", f"{face.side:.0f} pixels wide")
        outside = share_outside(face.box, shape)
        if outside > CUT:
            raise Rejected("cut_face", f"{outside:.0%} of it outside the picture")
    return face


def share_outside(box: Box, shape: tuple[int, ...]) -> float:
    """The share of a box's area that lies outside a picture of `shape` `[H, W, ...]`."""
    left, top, right, bottom = box
    height, width = shape[:2]
    inside = max(min(right, width) - max(left, 0), 0) * max(min(bottom, height) - max(top, 0), 0)
    return 1 - inside / ((right - left) * (bottom - top))
