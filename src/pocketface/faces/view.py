"""From a stored crop to a model's input: the one place where the two meet.

A dataset stores a face with a generous margin; each model looks at a window of it. Training, evaluation
and `pocketface predict` all come through `view`, so they cannot disagree about coverage, size or colour.
"""

import cv2
import numpy as np

from pocketface.study import Crop, Input


def window(crop: Crop, model: Input) -> tuple[float, float, float]:
    """The model's square inside a stored crop: `(left, top, side)` as shares of the crop's side.

    An aligned chip with margin m spans 1 + 2m mean-face widths about the face's centre, so a narrower
    margin is a centred window of it. Crops that were taken as they are, and those of the FaceNet
    report, are seen whole.
    """
    if crop.policy == "as_is" or crop.geometry != "chip":
        return 0.0, 0.0, 1.0
    stored = 1 + 2 * crop.margin
    side = (1 + 2 * model.margin) / stored
    start = (1 - side) / 2
    return start, start + model.shift / stored, side


def view(face: np.ndarray, crop: Crop, model: Input) -> np.ndarray:
    """The pixels that a model sees of one stored crop.

    Args:
        face: uint8 `[H, W, C]`, RGB (C = 3) or grey (C = 1), as stored in `faces.npy`.
        crop: how it was cropped.
        model: what the model wants.

    Returns:
        uint8 `[model.size, model.size, model.channels]`. Parts of the window that lie outside the crop
        repeat its edge.
    """
    face = _with_channels(face, model.channels)
    height, width = face.shape[:2]
    left, top, side = window(crop, model)
    scale = np.array([width * side / model.size, height * side / model.size])
    origin = np.array([left * width, top * height])
    if np.allclose(origin, 0) and np.allclose(side, 1):
        shrinks = scale.max() > 1
        seen = cv2.resize(
            face,
            (model.size, model.size),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
    else:
        seen = _resample(face, origin, scale, model.size)
    return seen.reshape(model.size, model.size, model.channels)


def views(faces: np.ndarray, crop: Crop, model: Input) -> np.ndarray:
    """`view` of every face: `[N, H, W, C]` to uint8 `[N, model.size, model.size, model.channels]`."""
    seen = np.empty((len(faces), model.size, model.size, model.channels), np.uint8)
    for i, face in enumerate(faces):
        seen[i] = view(face, crop, model)
    return seen


def _resample(face: np.ndarray, origin: np.ndarray, scale: np.ndarray, size: int) -> np.ndarray:
    """A window of `face`, smoothed first where it is made smaller, so that it does not alias."""
    if scale.max() > 1:
        sigma = 0.4 * (scale - 1)
        face = cv2.GaussianBlur(face, (0, 0), sigmaX=max(sigma[0], 1e-3), sigmaY=max(sigma[1], 1e-3))
    to_face = np.array(
        [[scale[0], 0, origin[0] + scale[0] / 2 - 0.5], [0, scale[1], origin[1] + scale[1] / 2 - 0.5]]
    )
    return cv2.warpAffine(
        face,
        to_face,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _with_channels(face: np.ndarray, channels: int) -> np.ndarray:
    if face.shape[2] == channels:
        return face
    code = cv2.COLOR_RGB2GRAY if channels == 1 else cv2.COLOR_GRAY2RGB
    return cv2.cvtColor(face, code).reshape(*face.shape[:2], channels)
