"""Converting a model to one level, audited before anyone may call it that.

card = convert(Path("models/age_gender"), Path("data/views/age_gender"), "int8", settings, out)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pocketface.cards import MODEL_FILE, ModelCard, Parity, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import written_whole
from pocketface.core.labels import Output
from pocketface.faces import calibrate
from pocketface.faces.calibrate import Calibration
from pocketface.tflite import affine, audit, ethos, finetune, flatbuffer, mixed, ranges, rounding, runtimes
from pocketface.tflite.converter import to_tflite
from pocketface.tflite.levels import LEVELS, Level
from pocketface.tflite.quantizer import quantize
from pocketface.tflite.run import Runner
from pocketface.tflite.settings import LevelSettings as Settings
from pocketface.training.fit import load

PARITY_FACES = 200
"""Train faces on which a file's answers are compared with the trained model's."""


@dataclass(frozen=True)
class Made:
    """A file, and what its card should say about how it was made."""

    file: bytes
    facts: dict[str, Any] = field(default_factory=dict)


def convert(trained: Path, views: Path, level: str, settings: Settings, out: Path) -> VariantCard:
    """Makes one variant of a trained model: `out/model.tflite` and `out/card.json`.

    A level that cannot be made, does not hold what its name says, or does not run, leaves a card with
    status `failed` and the reason, and no file; weights that could not be fetched leave `unavailable`.

    Args:
        trained: folder with the weights and the card.
        views: folder with the calibration faces, see `pocketface.faces.selection`.
        level: a name in `pocketface.tflite.levels.LEVELS`.
        settings: its stanza in params.
        out: folder to write.

    Raises:
        PocketfaceError: the trained model or the calibration faces cannot be loaded; the disk is full.
    """
    card = read_card(trained, ModelCard)
    if card.status == "unavailable":
        variant = VariantCard.model_validate(card.model_dump() | {"level": level})
        with written_whole(out) as partial:
            write_card(partial, variant)
        return variant
    model = load(card, trained)
    faces = calibrate.load(views)
    with written_whole(out) as partial:
        partial.mkdir(parents=True)
        try:
            float32 = to_tflite(model)
            made = make(card.outputs, model, LEVELS[level], settings, faces, float32)
            file = flatbuffer.bound(made.file, card)
            facts = made.facts | _checked(card, model, LEVELS[level], file, faces, partial / MODEL_FILE)
            facts["size_ratio"] = len(file) / len(flatbuffer.bound(float32, card))
        except PocketfaceError as error:
            (partial / MODEL_FILE).unlink(missing_ok=True)
            facts = {"status": "failed", "reason": str(error).splitlines()[0]}
        variant = VariantCard.model_validate(card.model_dump() | {"level": level} | facts)
        write_card(partial, variant)
    return variant


def make(
    outputs: Mapping[str, Output],
    model: keras.Model,
    level: Level,
    settings: Settings,
    faces: Calibration,
    float32: bytes,
) -> Made:
    """Makes a level's file.

    Args:
        outputs, model: what is converted.
        level, settings: to what, and how.
        faces: train faces.
        float32: the model's `.tflite` file of level float32.

    Raises:
        PocketfaceError: the level cannot be made of this model.
    """
    made = _make(outputs, model, level, settings, faces, float32)
    if not _refined(level, settings):
        return made
    pixels = faces.first(settings.calibration).pixels
    numbers = [head for head, output in outputs.items() if output.kind == "number"]
    refined = rounding.refine(float32, made.file, pixels)
    return replace(made, file=affine.correct(float32, refined, pixels, numbers))


def _refined(level: Level, settings: Settings) -> bool:
    """Whether the weights are rounded anew; float ones, and those that are searched or tuned, are not."""
    whole = level.weights[0] in ("INT8", "INT4") and level.maker in ("quantizer", "converter")
    return level.refined or (whole and settings.rounding == "gptq")


def _make(
    outputs: Mapping[str, Output],
    model: keras.Model,
    level: Level,
    settings: Settings,
    faces: Calibration,
    float32: bytes,
) -> Made:
    calibration = faces.first(settings.calibration)
    facts: dict[str, Any] = {"maker": level.maker}
    if level.weights == ("FLOAT32",):
        return Made(float32, facts)
    if level.weights[0] in audit.LIMITS:
        facts["per_channel"] = settings.per_channel
        facts["rounding"] = "gptq" if _refined(level, settings) else "nearest"
    if level.calibrated:
        facts["ranges"] = settings.ranges
    if level.calibrated or _refined(level, settings):
        facts["calibration_faces"] = len(calibration.images)
        facts["calibration_sha256"] = calibration.sha256()
    if level.maker == "converter":
        if level.calibrated and settings.ranges != "minmax":
            raise PocketfaceError(f"{level.name} knows minmax ranges only, not {settings.ranges}")
        pixels = calibration.pixels if level.calibrated else None
        return Made(to_tflite(model, level, pixels, settings.per_channel), facts)
    measured = ranges.measure(float32, calibration.pixels, settings.ranges) if level.calibrated else {}
    if level.maker == "quantizer":
        try:
            file = quantize(float32, level, measured, settings.per_channel)
            audit.check(audit.read(file), level)
            return Made(file, facts)
        except PocketfaceError:
            if level.activations != ("INT8",):
                raise
        # It lacks an operator of the model, LeakyReLU for one. TensorFlow's converter may have it.
        facts |= {"maker": "converter", "ranges": "minmax"}
        return Made(to_tflite(model, level, calibration.pixels, settings.per_channel), facts)
    tuning = faces.tuning()
    facts |= {"tuning_faces": len(tuning.images), "tuning_sha256": tuning.sha256()}
    if level.maker == "search":
        found = mixed.search(
            float32, level, measured, settings.per_channel, tuning, outputs, settings.max_drop
        )
        return Made(found.file, facts | {"drops": found.drops, "sensitivity": found.sensitivity})
    tuned = finetune.finetune(model, level, settings, tuning.pixels, calibration.pixels)
    return Made(tuned.file, facts | {"finetuning": tuned.facts})


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
    card: ModelCard, model: keras.Model, level: Level, file: bytes, faces: Calibration, path: Path
) -> dict[str, Any]:
    """Writes the file, audits it, runs it; the facts for its card."""
    held = audit.read(file)
    audit.check(held, level)
    path.write_bytes(file)
    seen = faces.first(PARITY_FACES).pixels
    actual = Runner(path)(seen)
    expected = model.predict(seen.astype(np.float32), verbose=0)
    return {
        "size_bytes": len(file),
        "sha256": sha256(file).hexdigest(),
        "weight_dtypes": held.weight_dtypes,
        "activation_dtypes": held.activation_dtypes,
        "operators": held.operators,
        "min_runtime": held.min_runtime,
        "macs": held.macs,
        "ports": held.inputs | held.outputs,
        "parity": {head: parity(card.outputs[head], expected[head], actual[head]) for head in card.outputs},
        "runtimes": runtimes.check(path, seen[:1]),
        "npu": ethos.compile_for(path) if level.calibrated and "INT8" in held.large_weight_dtypes else None,
    }
