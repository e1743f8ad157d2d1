"""From a stored crop to a model's input: the one place where the two meet.

A dataset stores a face with a generous margin; each model looks at a window of it. Training, which moves the
window at random, evaluation and `pocketface predict` all come through `view`.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from pocketface.faces.settings import Crop, Input


@dataclass(frozen=True)
class Jitter:
    """A random change of the window: shifts right and down and factor of its side, degrees that it turns."""

    mirror: bool = False
    shift_x: float = 0.0
    shift_y: float = 0.0
    zoom: float = 1.0
    angle: float = 0.0


STILL = Jitter()
WHOLE = 0.0, 0.0, 1.0
"""Left, top and side of a window that leaves nothing out."""


def window(crop: Crop, model: Input) -> tuple[float, float, float]:
    """The model's square inside a stored crop: `(left, top, side)` as shares of the crop's side.

    An aligned chip with margin m spans 1 + 2m mean-face widths about the face's centre, so a narrower margin
    is a centred window of it. All other crops are seen whole.
    """
    if crop.policy == "as_is" or crop.geometry != "chip":
        return WHOLE
    stored = 1 + 2 * crop.margin
    side = (1 + 2 * model.margin) / stored
    start = (1 - side) / 2
    return start, start + model.shift / stored, side


def detail_of(trained_on: Crop) -> int | None:
    """Pixels a side that a model's train faces had, where a crop taken as it is set them; else None.

    A model that saw 48 pixels enlarged to 96 has never seen a sharp face of 96.
    """
    return trained_on.size if trained_on.policy == "as_is" else None


def view(
    face: np.ndarray, crop: Crop, model: Input, jitter: Jitter = STILL, detail: int | None = None
) -> np.ndarray:
    """The pixels that a model sees of one stored crop.

    Args:
        face: uint8 `[H, W, C]`, RGB (C = 3) or grey (C = 1), as stored in `faces.npy`.
        crop: how it was cropped.
        model: what the model wants.
        jitter: a change of the window.
        detail: the most pixels a side that the window may have before it gets its size, see `detail_of`.

    Returns:
        uint8 `[model.size, model.size, model.channels]`. Parts of the window that lie outside the crop repeat
        its edge.
    """
    face = with_channels(face, model.channels)
    square = window(crop, model)
    if detail is not None and detail < min(model.size, square[2] * face.shape[1]):
        face, square, jitter = _seen(face, square, detail, jitter), WHOLE, STILL
    return _seen(face, square, model.size, jitter)


def views(faces: np.ndarray, crop: Crop, model: Input, detail: int | None = None) -> np.ndarray:
    """`view` of every face: `[N, H, W, C]` to uint8 `[N, model.size, model.size, model.channels]`."""
    seen = np.empty((len(faces), model.size, model.size, model.channels), np.uint8)
    for i, face in enumerate(faces):
        seen[i] = view(face, crop, model, detail=detail)
    return seen


def _seen(face: np.ndarray, window: tuple[float, float, float], size: int, jitter: Jitter) -> np.ndarray:
    """A window of a face `[H, W, C]`, as `[size, size, C]`."""
    to_face = _to_face(face.shape, window, size, jitter)
    if jitter == STILL and (corner := _corner(face.shape, window, size)) is not None:
        left, top = corner
        return face[top : top + size, left : left + size].copy()
    seen = cv2.warpAffine(
        _without_aliases(face, to_face),
        to_face,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return seen.reshape(size, size, face.shape[2])


@functools.lru_cache(maxsize=64)
def _corner(shape: tuple[int, ...], window: tuple[float, float, float], size: int) -> tuple[int, int] | None:
    """Left and top of a still window of whole pixels of the face; None where it is another."""
    to_face = _to_face(shape, window, size, STILL)
    corner = to_face[:, 2].round().astype(int)
    whole = np.allclose(to_face, np.column_stack([np.eye(2), corner]), rtol=0, atol=1e-9)
    inside = (corner >= 0).all() and (corner + size <= shape[1::-1]).all()
    return (int(corner[0]), int(corner[1])) if whole and inside else None


@functools.lru_cache(maxsize=64)  # a still window is always the same
def _to_face(
    shape: tuple[int, ...], window: tuple[float, float, float], size: int, jitter: Jitter
) -> np.ndarray:
    """The affine map `[2, 3]` from pixel centres of the view to pixel centres of the stored face."""
    extent = np.array([shape[1], shape[0]], float)
    left, top, side = window
    centre = (np.array([left, top]) + side / 2 + side * np.array([jitter.shift_x, jitter.shift_y])) * extent
    step = extent * side * jitter.zoom / size
    turn = np.deg2rad(jitter.angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotation * step[:, None]
    if jitter.mirror:
        linear = linear @ np.diag([-1.0, 1.0])
    middle = (size - 1) / 2
    return np.column_stack([linear, centre - 0.5 - linear @ [middle, middle]])


def _without_aliases(face: np.ndarray, to_face: np.ndarray) -> np.ndarray:
    """The face, smoothed as much as the view makes it smaller."""
    shrink = np.sqrt(abs(np.linalg.det(to_face[:, :2])))
    if shrink <= 1:
        return face
    return cv2.GaussianBlur(face, (0, 0), 0.5 * np.sqrt(shrink**2 - 1) + 1e-6)


def with_channels(face: np.ndarray, channels: int) -> np.ndarray:
    """A face `[H, W, C]`, RGB or grey, as the other."""
    if face.shape[2] == channels:
        return face
    code = cv2.COLOR_RGB2GRAY if channels == 1 else cv2.COLOR_GRAY2RGB
    return cv2.cvtColor(face, code).reshape(*face.shape[:2], channels)
