"""The five points of a face that BlazeFace has found, by a small network.

It has learned where dlib's shape predictor puts them, in an eighth of that one's time and beside other
threads; `research/landmarks.py` trains it on faces of FairFace (CC BY 4.0).
"""

from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pocketface.core.threads import per_thread
from pocketface.cropping.blazeface import Region, letterboxed, part

FILE = Path(__file__).with_name("landmarks.tflite")
SIDE, REACH = 64, 1.2
"""Pixels that the network sees, and the side of the square that they show, in sides of the face's box."""


def points(picture: np.ndarray, box: Region) -> np.ndarray:
    """The points of `pocketface.cropping.detect.Face`.

    Args:
        picture: uint8 `[H, W, 3]`, RGB.
        box: of the face; it may reach over the picture's edge.

    Returns:
        float64 `[5, 2]`, x and y in pixels of the picture.
    """
    region = region_of(box, REACH)
    seen, *_ = letterboxed(part(picture, region), SIDE, cv2.INTER_LINEAR)
    network, pixels, answer = _network()
    network.set_tensor(pixels, cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY).astype(np.float32)[None, :, :, None])
    network.invoke()
    found = network.get_tensor(answer).reshape(-1, 2).astype(float)
    # In sides of the region about its middle. Whole numbers are the middles of pixels, as dlib has it.
    return (found + 0.5) * (region[2] - region[0]) + region[:2] - 0.5


def region_of(box: Region, reach: float) -> Region:
    """The square about a box that is so many of its sides wide."""
    left, top, right, bottom = box
    side = max(round(reach * (right - left + bottom - top) / 2), 1)
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    return x, y, x + side, y + side


@per_thread
def _network() -> tuple[Interpreter, int, int]:
    """Loaded, and the places of its input and its output."""
    network = Interpreter(model_path=str(FILE), num_threads=1)
    network.allocate_tensors()
    return network, network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]
