"""An exported model to one level, audited before anyone may call it that."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pocketface.cards import MODEL_FILE, ModelCard, Parity, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError, first_line
from pocketface.core.files import made_by, written_whole
from pocketface.core.labels import Output
from pocketface.levels import LEVELS, Level
from pocketface.levels.settings import LevelSettings
from pocketface.levels.source import ANSWERS, Source
from pocketface.tflite import meaning, runtimes
from pocketface.tflite.file import TFLiteFile


def convert(
    exported: Path, views: Path, level: str, settings: LevelSettings, out: Path, threads: int | None = None
) -> VariantCard:
    """Makes one variant of an exported model: `out/model.tflite` and `out/card.json`.

    A level that cannot be made, does not hold what its name says, or does not run, leaves a card with status
    `failed` and the reason, and no file; what could not be fetched or exported stays so. For `exported`,
    `views` and `threads` see `Source.load`.

    Raises:
        PocketfaceError: the exported model or the calibration faces cannot be loaded; the disk is full.
    """
    card, facts = read_card(exported, ModelCard), dict[str, Any]()
    with written_whole(out, folder=True) as partial:
        if card.status == "ok":
            source = Source.load(exported, views, threads)
            with (
                made_by(f"export@{exported.name}", exported / ANSWERS, "answers"),
                np.load(exported / ANSWERS, allow_pickle=False) as stored,
            ):
                expected = dict(stored)
            try:
                made = LEVELS[level].make(source, settings)
                file = meaning.bound(made.file, card)
                facts = made.facts | _checked(card, LEVELS[level], file, source, expected)
                facts["size_ratio"] = len(file.content) / len(meaning.bound(source.float32, card).content)
                (partial / MODEL_FILE).write_bytes(file.content)
            except PocketfaceError as error:
                facts = {"status": "failed", "reason": first_line(error)}
        variant = VariantCard.model_validate(card.model_dump() | {"level": level} | facts)
        write_card(partial, variant)
    return variant


def parity(output: Output, expected: np.ndarray, actual: np.ndarray) -> Parity:
    """Compares a variant's answers `[N, K]` with the Keras model's on the same faces.

    Raises:
        PocketfaceError: an answer is not finite.
    """
    if not np.isfinite(actual).all():
        raise PocketfaceError("it answers something that is not a finite number")
    difference = np.abs(expected - actual)
    if output.kind == "classes":
        same = expected.argmax(1) == actual.argmax(1)
    else:
        same = difference[:, 0] < 0.5
    return Parity(
        faces=len(expected),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        agreement=float(same.mean()),
        varies=bool(np.ptp(actual, axis=0).max() > 0),
    )


def _checked(
    card: ModelCard, level: Level, file: TFLiteFile, source: Source, expected: dict[str, np.ndarray]
) -> dict[str, Any]:
    level.check(file)
    seen = source.faces.first(len(next(iter(expected.values())))).pixels
    actual = file.answers(seen)
    return {
        "size_bytes": len(file.content),
        "sha256": sha256(file.content).hexdigest(),
        "weight_dtypes": file.weight_dtypes,
        "activation_dtypes": file.activation_dtypes,
        "operators": file.kinds,
        "min_runtime": file.min_runtime,
        "macs": file.macs,
        "ports": file.ports,
        "parity": {head: parity(card.outputs[head], expected[head], actual[head]) for head in card.outputs},
        "runtimes": runtimes.check(file, seen[:1]),
    }
