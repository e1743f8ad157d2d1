"""Policies: which of the faces found in a picture is the one the labels are about, if any.

`one` follows the preprocessing of CACD; `largest` suits photographs of one person with others behind.
"""

from collections.abc import Sequence

from pocketface.cropping.detect import Box, Face
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Crop

TINY = 1 / 4
"""A face whose box is smaller than this share of the stored crop would be mostly interpolation."""

CUT = 0.4
"""Share of the box's area outside the picture from which a face counts as cut. Lenient, for the HOG box of a
tightly cropped face reaches over the edges while eyes, nose and mouth are all there."""


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
