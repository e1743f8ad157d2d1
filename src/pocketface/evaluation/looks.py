"""How one face looks to a model, in a hash and in seven numbers: two runs tell by them whether they saw the
same.
"""

import hashlib

import cv2
import numpy as np


def fingerprint(pixels: np.ndarray) -> str:
    """A hash of one face's pixels."""
    return hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=6).hexdigest()


def looks(pixels: np.ndarray) -> list[float]:
    """What a changed crop, colour or sharpness moves, and rounding does not.

    Args:
        pixels: one face `[H, W, C]`, 0..255.

    Returns:
        Mean of the first, second and last channel; centre of brightness from left and top, in hundredths of
        the side; spread of the brightness; mean step between neighbours.
    """
    face = pixels.astype(np.float32)
    grey = face.mean(axis=2)
    total, (high, wide) = max(float(grey.sum()), 1.0), grey.shape
    x = float((grey.sum(axis=0) * np.arange(wide)).sum()) / total / wide * 100
    y = float((grey.sum(axis=1) * np.arange(high)).sum()) / total / high * 100
    steps = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())
    channels = [float(face[..., i].mean()) for i in (0, min(1, face.shape[2] - 1), -1)]
    return [round(one, 1) for one in (*channels, x, y, float(grey.std()), steps)]
