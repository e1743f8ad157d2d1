"""Changes that leave a file readable: damaged bytes seldom get beyond its outermost check."""

import functools
import json
import pickle
import random
import struct
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

NUMBERS = (-1, 0, 1, 2, 5, 126, 255, 1000, 2**15, 2**24, 2**31 - 1, -(2**31), 2**63 - 1)
HOSTILE = (*NUMBERS, None, 1e308, 1e-308, float("nan"), "", "a\u202eb\n", "../x", [], {}, True, [[]], "\0")
UNPACKED = (struct.error, TypeError, AttributeError, ValueError, IndexError, OverflowError, RuntimeError)
"""What writing a flatbuffer of nonsense raises."""


def card(seeds: list[bytes], chance: random.Random) -> bytes:
    """A card of which some values, somewhere, are others."""
    content = json.loads(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 4))):
        _vary(content, chance, HOSTILE)
    return json.dumps(content).encode()


def tflite(seeds: list[bytes], chance: random.Random) -> bytes:
    """A model of which some numbers, vectors or tables are others."""
    whole = chance.choice(seeds)
    model = pickle.loads(_parsed(whole))
    for _ in range(chance.choice((1, 1, 2, 4))):
        _vary(model, chance, NUMBERS)
    builder = flatbuffers.Builder(1024)
    try:
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    except UNPACKED:
        return whole
    return bytes(builder.Output())


@functools.cache
def _parsed(file: bytes) -> bytes:
    """Pickled, for it takes long to parse."""
    return pickle.dumps(flatbuffer_utils.read_model_from_bytearray(bytearray(file)))


def _vary(value: Any, chance: random.Random, others: tuple) -> None:
    """Goes down at random, and changes what it ends at, or takes it away, or doubles it."""
    inside = value if isinstance(value, dict | list | np.ndarray) else vars(value)
    places = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
    if not places:
        return
    place = chance.choice(places)
    part = inside[place]
    deeper = isinstance(part, dict | list | np.ndarray) or hasattr(part, "__dict__")
    if deeper and chance.random() < 0.85:
        _vary(part, chance, others)
    elif isinstance(inside, np.ndarray):
        limits = np.finfo(inside.dtype) if inside.dtype.kind == "f" else np.iinfo(inside.dtype)
        inside[place] = np.clip(chance.choice(NUMBERS), limits.min, limits.max).astype(inside.dtype)
    elif isinstance(inside, list) and chance.random() < 0.5:
        inside[place : place + 1] = chance.choice(([], [part, part], [part] * 50))
    else:
        inside[place] = chance.choice((*others, inside[chance.choice(places)]))


MUTATORS: dict[str, Callable[[list[bytes], random.Random], bytes]] = {"card": card, "tflite": tflite}
