"""A dataset of photographs of nobody, as the zip that `fetch_data` leaves.

    count = render(Path("data/raw/starter/files.zip"), photographs=3000, seed=7)

A photograph depends on the seed and its number alone, so more of them begin with the same ones, and any
number of processes makes the same bytes. Most show one face, some none, two, or one cut by the edge: their
names say so, see `pocketface.datasets.starter`.
"""

import io
import os
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pocketface.core.files import written_whole
from pocketface.core.processes import end_with
from pocketface.fetching.archives import DATE
from pocketface.synthetic import scenes
from pocketface.synthetic.conditions import draw, encode
from pocketface.synthetic.decoder import Decoder

KINDS = {"single": 0.96, "none": 0.01, "two": 0.02, "cut": 0.01}
"""What a photograph shows -> share of the photographs."""
BLOCK = 250
"""Photographs that a process makes at a time."""


def render(target: Path, photographs: int, seed: int, decoder: Path, workers: int | None = None) -> int:
    """Writes the zip `target`; the number of photographs.

    Args:
        target: the zip to write, whole or not at all.
        photographs: how many.
        seed: of everything drawn.
        decoder: the published folder that holds the decoder.
        workers: processes; as many as there are processors by default.

    Raises:
        PocketfaceError: the decoder is missing or damaged; the disk is full.
    """
    Decoder(decoder)  # a missing file is told here, not by a worker
    starts = range(0, photographs, BLOCK)
    blocks = [(seed, start, min(start + BLOCK, photographs), decoder) for start in starts]
    workers = min(workers or os.cpu_count() or 1, len(blocks))
    with written_whole(target) as partial, zipfile.ZipFile(partial, "w") as packed:
        if workers <= 1:
            for block in map(_block, blocks):
                _store(packed, block)
        else:
            with ProcessPoolExecutor(workers, get_context("spawn"), end_with, (os.getpid(),)) as pool:
                for block in pool.map(_block, blocks):
                    _store(packed, block)
    return photographs


def photograph(number: int, seed: int, decoder: Decoder) -> tuple[str, np.ndarray]:
    """Name and pixels, uint8 `[H, W, 3]`, of one photograph."""
    random = np.random.default_rng([seed, number])
    kind = kind_of(random)
    people = draw(2 if kind == "two" else 1, random)
    noise = random.standard_normal((len(people), decoder.latent))
    faces = decoder(noise, encode(people))
    name = f"starter/{number:05d}_{kind}"
    if kind == "none":
        return f"{name}.jpg", scenes.none(random)
    if kind == "two":
        return f"{name}.jpg", scenes.two(faces[0], faces[1], random)
    person = people.iloc[0]
    name = f"{name}_{person['age']:.0f}_{person['gender']}_{person['expression']}.jpg"
    return name, (scenes.single if kind == "single" else scenes.cut)(faces[0], random)


def kind_of(random: np.random.Generator) -> str:
    """What a photograph shows; the first thing that is drawn of it."""
    return str(random.choice(list(KINDS), p=list(KINDS.values())))


def _block(block: tuple[int, int, int, Path]) -> list[tuple[str, bytes]]:
    """Names and JPEGs of a run of photographs. Runs in a worker."""
    seed, start, end, folder = block
    cv2.setNumThreads(1)
    decoder = _decoder(folder)
    return [
        (name, _jpeg(pixels, number))
        for number in range(start, end)
        for name, pixels in [photograph(number, seed, decoder)]
    ]


def _jpeg(pixels: np.ndarray, number: int) -> bytes:
    """A JPEG, of a quality between 75 and 95."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=75 + number % 21)
    return file.getvalue()


def _store(packed: zipfile.ZipFile, photographs: list[tuple[str, bytes]]) -> None:
    for name, data in photographs:
        info = zipfile.ZipInfo(name, DATE)
        info.create_system = 3
        info.external_attr = 0o644 << 16
        packed.writestr(info, data)


@cache
def _decoder(folder: Path) -> Decoder:
    return Decoder(folder)
