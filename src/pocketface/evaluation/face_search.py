"""From picture files to what each model sees of the faces in them.

A picture is decoded and searched once, however many models look at it; each model's window is then cut
as its own training faces were.
"""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from pocketface.core.errors import PocketfaceError
from pocketface.core.processes import end_with
from pocketface.cropping import picture as pictures
from pocketface.cropping.crop import crop_picture, cut_face
from pocketface.cropping.detect import Box, Face, detect, scaled
from pocketface.cropping.picture import Rejected
from pocketface.faces.settings import Crop, Detector, Input
from pocketface.faces.view import view

DETECTOR: Detector = "blazeface"
"""The default detector; docs/finding.md compares it with dlib's."""

SMALLEST_SEARCHED = 80
"""Pixels. A smaller picture has no room for a face that is seen well, so `auto` takes it as a face crop."""

TRIED, WORTH_A_POOL = 8, 4.0
"""Pictures that one process looks at in any case; seconds that it would take for the rest, from which
worker processes, which take one to two to start, are worth it."""

NO_FACE = "no_face"
REASONS = pictures.REASONS | {
    NO_FACE: "no face was found",
    "no_such_file": "no such file",
    "address": "an address, not a file: download the picture and name its file",
    "unreadable": "the file is damaged, or may not be read",
}
"""Why a picture gave no face -> the same for a person."""

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


def look_at(
    files: Sequence[Path], wanted: Sequence[Wanted], search: Search, workers: int = 1
) -> Iterator[Looked]:
    """Looks at every file, in order.

    Args:
        files: picture files; one that cannot be read gives its reason.
        wanted: of each model.
        search: which faces.
        workers: more than one shares the files, if they are `WORTH_A_POOL`, among so many processes that it
            starts; a script that asks for it must do its work below `if __name__ == "__main__":`.

    Raises:
        PocketfaceError: a worker process ended before its work was done.
    """
    one = partial(look, wanted=tuple(wanted), search=search)
    with tqdm(total=len(files), desc="pictures", unit="picture", disable=None, leave=False) as bar:
        for looked in _shared(one, files, workers):
            yield looked
            bar.update()


def _shared(one: Callable[[Path], Looked], files: Sequence[Path], workers: int) -> Iterator[Looked]:
    """`one` of each file, in order; by worker processes once those before tell that it is worth it."""
    done, seconds = 0, 0.0
    while workers == 1 or done < TRIED or seconds / max(done, 1) * (len(files) - done) < WORTH_A_POOL:
        if done == len(files):
            return
        start = time.perf_counter()
        looked = one(files[done])
        seconds += time.perf_counter() - start if done else 0.0  # the first one loads the networks
        done += 1
        yield looked
    others, started = multiprocessing.active_children(), []
    try:
        # Spawned, not forked: the parent may already run the threads of LiteRT or TensorFlow.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, end_with, (os.getpid(),)) as pool:
            found = pool.map(one, files[done:], chunksize=8)
            started = [child for child in multiprocessing.active_children() if child not in others]
            yield from found
    except BrokenProcessPool:
        raise PocketfaceError(_ended(started)) from None


def _ended(workers: Sequence[BaseProcess]) -> str:
    """What is known of a worker that ended early: the pool then terminates the others."""
    codes = {worker.exitcode for worker in workers if worker.exitcode}
    if not codes:
        return "a worker process ended before its work was done"
    code = max(codes - {-signal.SIGTERM} or codes)
    if code > 0:
        return (
            f"a worker process ended with exit code {code}; what it wrote stands above. Each worker imports "
            'the script that asks for workers: its work must stand below `if __name__ == "__main__":`'
        )
    killer = signal.Signals(-code).name
    memory = ", as the system does when memory runs out: free some, or ask for fewer workers"
    return f"a worker process was killed by {killer}{memory if killer == 'SIGKILL' else ''}"


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
    boxes = (_central_square(picture) if face is None else face.box for face in found)
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


def _central_square(picture: np.ndarray) -> Box:
    _, box = crop_picture(picture, Crop(policy="as_is", size=16))
    return box
