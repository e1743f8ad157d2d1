"""Finding faces in a picture, with dlib or BlazeFace.

dlib's models are those of the installed package `face_recognition_models` (CC0), but for its HOG detector:
`hog.svm` is what `dlib.get_frontal_face_detector().save("hog.svm")` writes, under dlib's Boost licence. It
opens in a millisecond; that function unpacks the same for 160 ms, in every thread.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from pocketface.core.budget import PICTURE
from pocketface.core.errors import PocketfaceError
from pocketface.core.threads import per_thread
from pocketface.cropping import blazeface, landmarks
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Detector

Box = tuple[int, int, int, int]
"""`(left, top, right, bottom)` in pixels of the full picture; right and bottom are exclusive. A box may
reach over the picture's edge."""

HOG = Path(__file__).with_name("hog.svm")

SEARCHED_SIDE = 1000
"""Pixels. Of a larger picture a reduced copy is searched: in 12 megapixels the detector would spend its
time on faces of 80 pixels in 4000."""

SECOND_LOOK_FRAME = 0.4
"""Width of the frame put around a picture for a second look, as a share of its longer side."""

LAST_LOOK_SIDE = 640
"""Pixels. The CNN takes about 4 s a megapixel on a CPU, so as a last resort it sees at most this."""

HALF = 0.5

SMALLEST_FACE = 80
"""Pixels. What HOG finds without upsampling, and BlazeFace looks for."""

CNN_SMALLEST = 40
"""Pixels. In a picture with a shorter side the CNN finds nothing, and in one of a few pixels it crashes."""


@dataclass(frozen=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: see `Box`.
        points: float64 `[5, 2]`, x and y in pixels of the full picture: outer and inner corner of the eye
            at the picture's right, outer and inner corner of the one at its left, base of the nose.
    """

    box: Box
    points: np.ndarray

    @property
    def side(self) -> float:
        """The mean of the box's width and height, in pixels."""
        left, top, right, bottom = self.box
        return (right - left + bottom - top) / 2


def detect(picture: np.ndarray, detector: Detector = "hog", upsample: int = 0) -> list[Face]:
    """The faces in a picture, largest first.

    Where HOG sees nothing, it looks again for a face that fills the picture, with a frame around it and at
    half its size; at last the CNN looks, which finds turned, dark and half-covered faces. Both are asked
    at their usual thresholds, so that a picture without a face stays one. BlazeFace has looks of its own, see
    `pocketface.cropping.blazeface`; where it sees nothing, the others look. The points in its boxes are those
    of `pocketface.cropping.landmarks`, which has learned dlib's, so crops are aligned alike.

    Args:
        picture: uint8 `[H, W, 3]`, RGB.
        detector: what looks first.
        upsample: how often the searched picture is doubled before; faces of 80 pixels are found at 0, of 40
            at 1.

    Raises:
        Rejected: `too_large`, if it would take too long, see `pocketface.core.budget`.
    """
    looks = {
        "hog": (_hog, _hog_framed, _cnn_last),
        "cnn": (_cnn,),
        "blazeface": (_blazeface, _hog, _hog_framed, _cnn_last),
    }
    searched, scale = _reduced(picture, SEARCHED_SIDE)
    for look in looks[detector]:
        boxes = look(searched, upsample)
        if boxes:
            points = landmarks.points if look is _blazeface else dlib_points
            places = [scaled(box, 1 / scale) for box in boxes]
            faces = [Face(box, points(picture, box)) for box in places]
            return sorted(faces, key=lambda face: (-face.side, face.box))
    return []


def _hog(picture: np.ndarray, upsample: int) -> list[Box]:
    # Grey, as in the detector's training: a fifth faster than RGB and finds as many.
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    _check_work(picture, upsample, PICTURE.hog)
    return [_box(found) for found in _hog_detector()(grey, upsample)]


def _hog_framed(picture: np.ndarray, upsample: int) -> list[Box]:
    frame = round(max(picture.shape[:2]) * SECOND_LOOK_FRAME)
    framed = cv2.copyMakeBorder(picture, frame, frame, frame, frame, cv2.BORDER_REPLICATE)
    small, scale = _reduced(framed, round(max(framed.shape[:2]) * HALF))
    return [scaled(box, 1 / scale, -frame) for box in _hog(small, upsample)]


def _cnn(picture: np.ndarray, upsample: int) -> list[Box]:
    if min(picture.shape[:2]) << upsample < CNN_SMALLEST:
        return []
    _check_work(picture, upsample, PICTURE.cnn)
    return [_box(found.rect) for found in _cnn_detector()(picture, upsample)]


def _check_work(picture: np.ndarray, upsample: int, most: int) -> None:
    """Rejects what a detector of dlib would take too long for: its time goes with the pixels."""
    pixels = picture.shape[0] * picture.shape[1] << 2 * upsample
    if pixels > most:
        raise Rejected("too_large", f"{pixels:,} pixels to search, doubled {upsample} times; {most:,} may be")


def _cnn_last(picture: np.ndarray, upsample: int) -> list[Box]:
    """The faces that the CNN finds at half size, for a quarter of the time, or else at full size."""
    side = min(max(picture.shape[:2]), LAST_LOOK_SIDE)
    for longer in (round(side * HALF), side):
        small, scale = _reduced(picture, longer)
        if found := _cnn(small, 0):
            return [scaled(box, 1 / scale) for box in found]
    return []


def _blazeface(picture: np.ndarray, upsample: int) -> list[Box]:
    return [scaled(tuple(box), 1) for box in blazeface.find(picture, SMALLEST_FACE / 2**upsample).tolist()]


def dlib_points(picture: np.ndarray, box: Box) -> np.ndarray:
    """The points of the face in a box, by dlib's shape predictor: see `Face`."""
    left, top, right, bottom = box
    found = _shape_predictor()(picture, dlib.rectangle(left, top, right - 1, bottom - 1))
    return np.array([(point.x, point.y) for point in found.parts()], np.float64)


def _reduced(picture: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """A copy whose longer side is at most `side`, area-averaged, and its scale; else the picture itself."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(picture), 1.0
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA), scale


def _box(found: dlib.rectangle) -> Box:
    return found.left(), found.top(), found.right() + 1, found.bottom() + 1


def scaled(box: tuple[float, float, float, float], scale: float, moved: int = 0) -> Box:
    """The box in a copy of the picture that is `scale` times as large, and `moved` right and down."""
    left, top, right, bottom = (round(edge * scale) + moved for edge in box)
    return left, top, right, bottom


@per_thread
def _hog_detector() -> dlib.fhog_object_detector:
    return dlib.fhog_object_detector(str(HOG))


@per_thread
def _cnn_detector() -> dlib.cnn_face_detection_model_v1:
    return dlib.cnn_face_detection_model_v1(model_file("mmod_human_face_detector.dat"))


@functools.cache
def _shape_predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(model_file("shape_predictor_5_face_landmarks.dat"))


def model_file(name: str) -> str:
    """Path of one of dlib's networks, which the package `face-recognition-models` brings.

    Raises:
        PocketfaceError: the package is not installed, or lacks it.
    """
    # Not imported: its __init__ wants pkg_resources, which Python no longer brings.
    package = importlib.util.find_spec("face_recognition_models")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return str(path)
    raise PocketfaceError(f"{name}: not found; `pip install face-recognition-models` brings it")
