"""From picture files to what each model sees of the faces in them.

    for looked in look_at(files, [(card.crop, card.input)], Search(every=True)):
        looked.path, looked.reason, looked.boxes, looked.faces

A picture is decoded and searched once, however many models look at it; each model's window is then cut
as its own training faces were.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from pocketface.errors import PocketfaceError
from pocketface.faces.crop import crop_picture, cut_face
from pocketface.faces.detect import Box, Face, detect
from pocketface.faces.picture import Rejected, decode
from pocketface.faces.view import view
from pocketface.study import Crop, Input

SMALLEST_SEARCHED = 80
"""Pixels. dlib's HOG detector finds no smaller face, so `auto` takes a picture with a shorter side as a
face crop."""

WORTH_A_POOL = 150
"""Pictures. A worker process takes about two seconds to start, in which one process searches as many."""

NO_FACE = "no_face"
UNREADABLE = "unreadable"

Detect = Literal["auto", "dlib", "none"]
Wanted = tuple[Crop, Input]
"""How a model's training faces were cut out, and its window of them."""


@dataclass(frozen=True)
class Search:
    """Which faces of a picture are wanted.

    Attributes:
        every: all faces, largest first, down to half the size that is found otherwise; else only the
            largest.
        detect: `dlib` searches; `none` takes the central square of the frame as the face; `auto` searches
            pictures whose shorter side is at least `SMALLEST_SEARCHED`.
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
        reason: why there is no face: `no_face`, or why it could not be read, see
            `pocketface.faces.picture.REASONS`; else None.
        boxes: of each face, in picture pixels.
        faces: per face and per model, what the model sees: uint8 `[size, size, channels]`.
    """

    path: Path
    reason: str | None
    boxes: tuple[Box, ...] = ()
    faces: tuple[tuple[np.ndarray, ...], ...] = ()


def look_at(
    files: Sequence[Path], wanted: Sequence[Wanted], search: Search, workers: int | None = None
) -> Iterator[Looked]:
    """Looks at every file, in order; many files are shared among processes.

    Args:
        files: picture files; one that cannot be read gives its reason.
        wanted: of each model.
        search: which faces.
        workers: processes; by default as many as there are processors, and one for few files.

    Raises:
        PocketfaceError: a worker process was killed.
    """
    workers = workers or (multiprocessing.cpu_count() if len(files) >= WORTH_A_POOL else 1)
    one = partial(look, wanted=tuple(wanted), search=search)
    bar = partial(tqdm, total=len(files), desc="pictures", unit="picture", disable=None)
    if workers == 1:
        yield from bar(map(one, files))
        return
    # Spawned, not forked: the parent may already run the threads of LiteRT or TensorFlow.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from bar(pool.map(one, files, chunksize=8))
        except BrokenProcessPool:
            raise PocketfaceError(
                "a worker process was killed, probably for want of memory; free some, or give fewer pictures"
            ) from None


def look(path: Path, wanted: Sequence[Wanted], search: Search) -> Looked:
    """Looks at one picture file."""
    try:
        picture = decode(path.read_bytes())
    except OSError:
        return Looked(path, UNREADABLE)
    except Rejected as rejected:
        return Looked(path, rejected.reason)
    found = find(picture, search)
    if not found:
        return Looked(path, NO_FACE)
    boxes = tuple(_central_square(picture) if face is None else face.box for face in found)
    faces = tuple(tuple(_seen(picture, face, *model) for model in wanted) for face in found)
    return Looked(path, None, boxes, faces)


def find(picture: np.ndarray, search: Search) -> list[Face | None]:
    """The wanted faces of a picture uint8 `[H, W, 3]`; None stands for the frame's central square."""
    if search.detect == "none" or (search.detect == "auto" and min(picture.shape[:2]) < SMALLEST_SEARCHED):
        return [None]
    faces: list[Face | None] = list(detect(picture, upsample=int(search.every)))
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


def _central_square(picture: np.ndarray) -> Box:
    _, box = crop_picture(picture, Crop(policy="as_is", size=16))
    return box
