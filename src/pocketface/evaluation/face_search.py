"""From picture files to what each model sees of the faces in them.

A picture is decoded and searched once, however many models look at it; each model's window is then cut
as its own training faces were.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from pocketface.core.threads import forked, in_order
from pocketface.cropping import picture as pictures
from pocketface.cropping.crop import central_square, crop_picture, cut_face
from pocketface.cropping.detect import Box, Face, detect, scaled
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Crop, Detector, Input
from pocketface.faces.view import view

DETECTOR: Detector = "blazeface"
"""The default detector; docs/finding.md compares it with dlib's."""

SMALLEST_SEARCHED = 80
"""Pixels. A smaller picture has no room for a face that is seen well, so `auto` takes it as a face crop."""

ENOUGH = 50
"""Files for each process: as many as pay for starting it. Elsewhere than on Linux a fork is not safe."""

NO_FACE = "no_face"
REASONS = pictures.REASONS | {
    NO_FACE: "no face was found",
    "no_such_file": "no such file",
    "address": "an address, not a file: download the picture and name its file",
    "unreadable": "the file is damaged, or may not be read",
}
"""Why a picture gave no face -> the same for a person."""

T = TypeVar("T")
Detect = Literal["auto", Detector, "none"]
Wanted = tuple[Crop, Input]
"""How a model's training faces were cut out, and its window of them."""


@dataclass(frozen=True)
class Search:
    """Which faces of a picture are wanted.

    Attributes:
        every: all faces, largest first, down to half the size that is found otherwise; else only the
            largest.
        detect: a detector searches; `none` takes the central square of the frame as the face; `auto` has
            `DETECTOR` search pictures whose shorter side is at least `SMALLEST_SEARCHED`.
        centre_if_none: whether a picture without a detected face falls back to the frame's central square.
    """

    every: bool = False
    detect: Detect = "auto"
    centre_if_none: bool = False


@dataclass(frozen=True)
class Looked:
    """What was found in one picture.

    Attributes:
        path: the file.
        reason: why there is no face, one of `REASONS`; else None.
        boxes: of each face, in the file's own pixels, turned upright.
        faces: per face and per model, what the model sees: uint8 `[size, size, channels]`.
        detail: of a picture that could not be read, what was found and what to do, in a sentence.
    """

    path: Path
    reason: str | None
    boxes: tuple[Box, ...] = ()
    faces: tuple[tuple[np.ndarray, ...], ...] = ()
    detail: str = ""


def each(one: Callable[[Path], T], files: Sequence[Path], workers: int) -> Iterator[T]:
    """`one` of each file, in order, by so many processes if each gets `ENOUGH` files, else threads."""
    cv2.setNumThreads(1)  # its own have too little to do with a face, and take a sixth of the time
    many = sys.platform == "linux" and workers > 1 and len(files) >= ENOUGH * workers
    share = forked if many else in_order
    with closing(share(one, files, min(workers, len(files)))) as found:
        yield from tqdm(found, desc="pictures", total=len(files), unit="picture", disable=None, leave=False)


def look(path: Path, wanted: Sequence[Wanted], search: Search) -> Looked:
    """Looks at one picture file."""
    try:
        picture, reduction = pictures.read(path)
        found = find(picture, search)
    except FileNotFoundError:
        return Looked(path, "address" if re.match(r"\w[\w+.-]+:/", path.as_posix()) else "no_such_file")
    except OSError:
        return Looked(path, "unreadable")
    except Rejected as rejected:
        return Looked(path, rejected.reason, detail=rejected.told)
    if not found:
        return Looked(path, NO_FACE)
    boxes = (central_square(picture.shape) if face is None else face.box for face in found)
    faces = tuple(tuple(_seen(picture, face, *model) for model in wanted) for face in found)
    return Looked(path, None, tuple(scaled(box, reduction) for box in boxes), faces)


def find(picture: np.ndarray, search: Search) -> list[Face | None]:
    """The wanted faces of a picture uint8 `[H, W, 3]`; None stands for the frame's central square."""
    if search.detect == "none" or (search.detect == "auto" and min(picture.shape[:2]) < SMALLEST_SEARCHED):
        return [None]
    detector = DETECTOR if search.detect == "auto" else search.detect
    faces: list[Face | None] = list(detect(picture, detector, upsample=int(search.every)))
    if not faces and search.centre_if_none:
        return [None]
    return faces if search.every else faces[:1]


def framed(crop: Crop, model: Input) -> Crop:
    """How a picture that is a face crop already is stored for a model: whole."""
    return crop if crop.policy == "as_is" else Crop(policy="as_is", size=model.size, channels=crop.channels)


def aligned(crop: Crop, model: Input) -> Crop:
    """How a face found in a picture is cut out for a model.

    As its training faces were; a model trained on crops taken as they are gets an aligned chip that just
    holds its window, with no more pixels than those crops had.
    """
    if crop.policy != "as_is":
        return crop
    margin = min(model.margin + abs(model.shift), 2.0)
    size = round(min(model.size, crop.size) * (1 + 2 * margin) / (1 + 2 * model.margin))
    return Crop(policy="largest", margin=margin, size=min(size, 1024), channels=crop.channels)


def _seen(picture: np.ndarray, face: Face | None, crop: Crop, model: Input) -> np.ndarray:
    if face is None:
        crop = framed(crop, model)
        stored, _ = crop_picture(picture, crop)
    else:
        crop = aligned(crop, model)
        stored = cut_face(picture, face, crop)
    return view(stored, crop, model)
