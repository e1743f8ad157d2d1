"""Random changes of training faces, drawn from a generator that the caller seeds."""

import cv2
import numpy as np

from pocketface.faces.view import Jitter
from pocketface.study import Augment


def jitter(augment: Augment, random: np.random.Generator) -> Jitter:
    """A random window: flip, translate, zoom, rotate."""
    signed = random.uniform(-1, 1, size=4)
    return Jitter(
        mirror=augment.flip and random.random() < 0.5,
        shift_x=augment.translate * signed[0],
        shift_y=augment.translate * signed[1],
        zoom=1 + augment.zoom * signed[2],
        angle=augment.rotate * signed[3],
    )


def relight(face: np.ndarray, augment: Augment, random: np.random.Generator) -> np.ndarray:
    """A random change of brightness and contrast about mid grey; uint8 `[H, W, C]` in and out."""
    if not augment.brightness and not augment.contrast:
        return face
    offset, gain = random.uniform(-1, 1, size=2)
    levels = (np.arange(256) - 127.5) * (1 + augment.contrast * gain) + 127.5
    table = np.clip(levels + 255 * augment.brightness * offset, 0, 255).astype(np.uint8)
    return cv2.LUT(face, table).reshape(face.shape)
