"""Choices that are the same on every machine: by hash, never at random."""

import hashlib

import numpy as np

SPLITS = ("train", "val", "test")
VALIDATION_SHARE = 0.15
"""Of a dataset that has no split of its own; `reserved` ones of them are its test part."""
RESERVED_SHARE = 1 / 3


def unit_hash(text: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on the text alone: the same on every machine, for ever."""
    digest = hashlib.sha256(f"{salt}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def fingerprint(pixels: np.ndarray) -> str:
    """A hash of one face's pixels."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=6).hexdigest()


def hashed_split(key: str) -> str:
    """The split of a dataset that has none: 85% `train`, 10% `val`, 5% `test`, by hash of `key`.

    `key` is the SHA-256 of the picture, or the identity where the dataset names it, so that no person
    is in two splits.
    """
    if unit_hash(key, "split") >= VALIDATION_SHARE:
        return "train"
    return "test" if reserved(key) else "val"


def reserved(key: str) -> bool:
    """Whether a picture to validate on is in the test part that nothing is chosen by: a third of them."""
    return unit_hash(key, "test") < RESERVED_SHARE
