"""Random changes of training faces. One that is off draws nothing from the generator."""

import cv2
import numpy as np

from pocketface.faces.view import Jitter
from pocketface.training.settings import Augment

ERASED_AREA = (0.02, 0.33)
ERASED_ASPECT = (0.3, 3.3)
"""Of random erasing: shares of the face, height over width (Zhong et al., 2020)."""

Labelled = dict[str, np.ndarray]
"""Head -> one array for all faces."""


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


def recolour(face: np.ndarray, augment: Augment, random: np.random.Generator) -> np.ndarray:
    """Random light, saturation, blur and erasing; uint8 `[H, W, C]` in and out."""
    if augment.brightness or augment.contrast:
        offset, gain = random.uniform(-1, 1, size=2)
        levels = (np.arange(256) - 127.5) * (1 + augment.contrast * gain) + 127.5
        table = np.clip(levels + 255 * augment.brightness * offset, 0, 255).astype(np.uint8)
        face = cv2.LUT(face, table).reshape(face.shape)
    if augment.saturation and face.shape[2] == 3:
        gain = 1 + augment.saturation * random.uniform(-1, 1)
        grey = cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        face = cv2.addWeighted(face, gain, grey, 1 - gain, 0)
    if augment.blur and random.random() < augment.blur:
        face = blur(face)
    if augment.erase and random.random() < augment.erase:
        face = _erase(face, random)
    return face


def blur(face: np.ndarray) -> np.ndarray:
    """The mean of every 2x2 pixels; uint8 `[H, W, C]` in and out."""
    return cv2.blur(face, (2, 2)).reshape(face.shape)


def mixup(
    image: np.ndarray, y: Labelled, weight: Labelled, alpha: float, random: np.random.Generator
) -> tuple[np.ndarray, Labelled, Labelled]:
    """Lays every face over another one of its batch, and mixes their labels alike.

    Where one of the two faces has no label of a head, the other's stands, with its share of the weight.

    Args:
        image: float32 `[B, H, W, C]`.
        y, weight: head -> float32 targets `[B, K]` and weights `[B]`.
        alpha: of the beta distribution.
        random: draws the pairs and one share for all of them.
    """
    share = random.beta(alpha, alpha)
    other = random.permutation(len(image))
    mixed_y, mixed_weight = {}, {}
    for head, own in weight.items():
        parts = np.stack([share * own, (1 - share) * own[other]])
        total = parts.sum(axis=0)
        mine, theirs = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)[..., None]
        mixed_y[head] = mine * y[head] + theirs * y[head][other]
        mixed_weight[head] = total
    return share * image + (1 - share) * image[other], mixed_y, mixed_weight


def _erase(face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    side = face.shape[0]
    area = random.uniform(*ERASED_AREA) * side**2
    aspect = np.exp(random.uniform(*np.log(ERASED_ASPECT)))
    height = min(max(round(np.sqrt(area * aspect)), 1), side)
    width = min(max(round(np.sqrt(area / aspect)), 1), side)
    top, left = random.integers(0, side - height + 1), random.integers(0, side - width + 1)
    erased = face.copy()
    noise = random.integers(0, 256, (height, width, face.shape[2]), dtype=np.uint8)
    erased[top : top + height, left : left + width] = noise
    return erased
