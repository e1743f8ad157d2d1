"""Who is on more than one picture, where a dataset does not say: dlib's face descriptor.

Two descriptors of one person are closer than 0.6 in 99.38% of LFW's pairs (dlib's own figure). Groups are
made at 0.5, as dlib's example of clustering does: two persons are seldom joined, one is sometimes divided.
"""

import functools

import dlib
import numpy as np

from pocketface.cropping.detect import model_file
from pocketface.cropping.geometry import chip, cut

NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
SIDE, MARGIN = 150, 0.25
"""Of the chip that the network sees, in pixels and as `Crop.margin`."""
SAME = 0.5
"""Descriptors closer than that are linked."""


def descriptor(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The descriptor of the face with these points of dlib's `[5, 2]` in a picture uint8 `[H, W, 3]`: float32
    `[128]`. A tenth of a second."""
    seen = cut(picture, chip(points, SIDE, MARGIN))
    return np.array(_network().compute_face_descriptor(seen), np.float32)


def persons(descriptors: np.ndarray) -> np.ndarray:
    """A number a person, int `[N]`, of descriptors `[N, 128]`: dlib's Chinese whispers, which are seeded."""
    return np.array(dlib.chinese_whispers_clustering([*map(dlib.vector, descriptors)], SAME), np.int64)


@functools.cache
def _network() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(model_file(NETWORK))
