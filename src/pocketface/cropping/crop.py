"""From a picture to stored crops: detection, policy, geometry, colour.

face, box = crop_picture(picture, crop)    # the one face that a dataset's labels are about
pixels = cut_face(picture, found, crop)    # one that was found in any photograph
"""

import cv2
import numpy as np

from pocketface.cropping import geometry
from pocketface.cropping.detect import Box, Face, detect
from pocketface.cropping.policy import choose
from pocketface.faces.settings import Crop


def crop_picture(picture: np.ndarray, crop: Crop) -> tuple[np.ndarray, Box]:
    """The crop of the face that a picture's labels are about.

    Args:
        picture: uint8 `[H, W, 3]`, RGB.
        crop: which face, and how it is cut out.

    Returns:
        The face, uint8 `[crop.size, crop.size, crop.channels]`, and its box. Under the policy `as_is` the box
        is the largest square in the middle of the picture.

    Raises:
        Rejected: see `pocketface.cropping.policy`.
    """
    if crop.policy == "as_is":
        return _centre(picture, crop)
    face = choose(detect(picture, crop.detector, crop.upsample), picture.shape, crop)
    return cut_face(picture, face, crop), face.box


def cut_face(picture: np.ndarray, face: Face, crop: Crop) -> np.ndarray:
    """The crop of a face that was found, uint8 `[crop.size, crop.size, crop.channels]`."""
    return _coloured(geometry.cut(picture, geometry.window(face, picture.shape, crop)), crop)


def _centre(picture: np.ndarray, crop: Crop) -> tuple[np.ndarray, Box]:
    height, width = picture.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = picture[top : top + side, left : left + side]
    if side != crop.size:
        shrinks = side > crop.size
        square = cv2.resize(
            square, (crop.size, crop.size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    return _coloured(square, crop), (left, top, left + side, top + side)


def _coloured(face: np.ndarray, crop: Crop) -> np.ndarray:
    return face if crop.channels == 3 else cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[:, :, None]
