"""A dataset of synthetic photographs, as the zip that `fetch_data` leaves.

A photograph depends on the seed and its number alone. Most show one face, some none, two, or one cut by the
edge: their names say so, see `pocketface.datasets.starter`.
"""

import io
import os
import zipfile
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pocketface.core.files import written_whole
from pocketface.core.threads import in_order
from pocketface.fetching.archives import header
from pocketface.synthetic import scenes
from pocketface.synthetic.conditions import draw, encode
from pocketface.synthetic.decoder import Decoder

KINDS = {"single": 0.96, "none": 0.01, "two": 0.02, "cut": 0.01}
"""What a photograph shows -> share of the photographs."""
BLOCK = 250
"""Photographs that a thread makes at a time."""


def render(target: Path, photographs: int, seed: int, decoder: Path, workers: int | None = None) -> int:
    """Writes a zip of so many photographs whole; returns their number.

    Args:
        decoder: the published folder that it is in.

    Raises:
        PocketfaceError: the decoder is missing or damaged; the disk is full.
    """
    numbers = range(photographs)
    blocks = [numbers[start : start + BLOCK] for start in range(0, photographs, BLOCK)]
    made = in_order(partial(_block, seed, decoder), blocks, workers or os.cpu_count() or 1)
    with written_whole(target) as path, zipfile.ZipFile(path, "w") as packed, closing(made):
        for name, data in chain.from_iterable(made):
            packed.writestr(header(name), data)
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


def _block(seed: int, folder: Path, numbers: range) -> list[tuple[str, bytes]]:
    """Names and JPEGs of a run of photographs."""
    cv2.setNumThreads(1)
    decoder, made = Decoder(folder), []
    for number in numbers:
        name, pixels = photograph(number, seed, decoder)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=75 + number % 21)
        made.append((name, file.getvalue()))
    return made
