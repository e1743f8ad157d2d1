"""How one face looks to a model, in a few numbers that are no picture: two runs tell by them whether they saw
the same.
"""

from functools import lru_cache

import cv2
import numpy as np

CYCLES = (2, 4)
NAMES = (
    *("first channel", "second channel", "last channel", "contrast", "sharpness"),
    *(f"{part} of {k} waves {way}" for k in CYCLES for way in ("across", "down") for part in ("cos", "sin")),
)


def looks(pixels: np.ndarray) -> list[float]:
    """What a changed crop, colour or sharpness moves, and rounding hardly: of one face `[H, W, C]`, 0..255,
    the numbers of `NAMES`, in grey levels: means of channels, spread of the brightness, mean of its
    Laplacian, and how much of it goes in waves of so many cycles, which a shift turns.
    """
    face = pixels.astype(np.float32)
    grey = face.mean(axis=2)
    steps = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())
    channels = [float(face[..., i].mean()) for i in (0, min(1, face.shape[2] - 1), -1)]
    high, wide = grey.shape
    across, down = _waves(wide) @ grey.mean(axis=0), _waves(high) @ grey.mean(axis=1)
    turned = [
        part for k in range(len(CYCLES)) for way in (across, down) for part in (way[k].real, way[k].imag)
    ]
    return [round(float(one), 1) for one in (*channels, grey.std(), steps, *turned)]


def shift(was: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    """By which share of their side faces moved right and down, by their looks `[N, len(NAMES)]`."""
    turns = [(table[:, 5::2] + 1j * table[:, 6::2])[:, :2] for table in (was, now)]
    right, down = -np.angle((turns[1] * turns[0].conj()).sum(axis=0)) / (2 * np.pi * CYCLES[0])
    return float(right), float(down)


@lru_cache(maxsize=8)
def _waves(side: int) -> np.ndarray:
    """Complex `[len(CYCLES), side]`."""
    return np.exp(-2j * np.pi * np.outer(CYCLES, np.arange(side)) / side) / side
