"""The recipes: each makes a level's file from a `Source`.

Only `converted`, what falls back on it, and `finetuned` import TensorFlow: its converter is alone in writing
int16 activations that run, and fine-tuning is a training.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pocketface.core.errors import PocketfaceError

if TYPE_CHECKING:
    from pocketface.levels import Level
    from pocketface.levels.settings import LevelSettings
    from pocketface.levels.source import Source
    from pocketface.tflite.file import TFLiteFile

    Recipe = Callable[[Source, Level, LevelSettings], "Made"]


@dataclass(frozen=True)
class Made:
    """A file, and what its card should say about how it was made."""

    file: "TFLiteFile"
    facts: dict[str, Any] = field(default_factory=dict)


def exported(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """The float32 file itself."""
    return Made(source.float32, {"maker": "converter"})


def converted(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """By TensorFlow's converter, from the Keras model."""
    from pocketface.levels.converter import to_tflite

    if level.calibrated and settings.ranges != "minmax":
        raise PocketfaceError(f"{level.name} knows minmax ranges only, not {settings.ranges}")
    pixels = source.faces.first(settings.calibration).pixels if level.calibrated else None
    file = to_tflite(source.network(level), level, pixels, settings.per_channel)
    return _rounded(source, level, settings, Made(file, _facts("converter", source, level, settings)))


def quantized(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """By LiteRT's quantizer, from the float32 file. What it lacks (LeakyReLU in int8) or refuses (very large
    kernels) the converter makes, but for int4 weights.
    """
    from pocketface.levels.quantizer import quantize

    try:
        file = quantize(source.float32, level, source.measured(level, settings), settings.per_channel)
        level.check(file)
    except PocketfaceError:
        if level.weights[0] == "INT4" or source.keras is None:
            raise
        return converted(source, level, settings.model_copy(update={"ranges": "minmax"}))
    return _rounded(source, level, settings, Made(file, _facts("quantizer", source, level, settings)))


def searched(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """By the quantizer, with the operators that need it left in float."""
    from pocketface.levels import mixed

    settings = settings.model_copy(update={"rounding": "nearest"})
    ranges, tuning = source.measured(level, settings), source.faces.tuning()
    found = mixed.search(
        source.float32, level, ranges, settings.per_channel, tuning, source.outputs, settings.max_drop
    )
    facts = _facts("search", source, level, settings) | _tuned_on(source)
    return Made(found.file, facts | {"drops": found.drops, "sensitivity": found.sensitivity})


def finetuned(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """By the quantizer, on weights and ranges that were trained for it."""
    from pocketface.levels.finetune import finetune

    settings = settings.model_copy(update={"rounding": "nearest"})
    seen, calibration = source.faces.tuning().pixels, source.faces.first(settings.calibration).pixels
    tuned = finetune(source.network(level), level, settings, seen, calibration)
    facts = _facts("finetuning", source, level, settings) | _tuned_on(source)
    return Made(tuned.file, facts | {"finetuning": tuned.facts})


def for_answers(recipe: "Recipe") -> "Recipe":
    """The same recipe, weights rounded so that answers change least, see `pocketface.levels.rounding`."""
    return lambda source, level, settings: recipe(
        source, level, settings.model_copy(update={"rounding": "gptq"})
    )


def _rounded(source: "Source", level: "Level", settings: "LevelSettings", made: Made) -> Made:
    from pocketface.levels import output_correction, rounding

    if not _for_answers(level, settings):
        return made
    pixels = source.faces.first(settings.calibration).pixels
    numbers = [head for head, output in source.outputs.items() if output.kind == "number"]
    refined = rounding.refine(source.float32, made.file, pixels)
    return replace(made, file=output_correction.correct(source.float32, refined, pixels, numbers))


def _for_answers(level: "Level", settings: "LevelSettings") -> bool:
    return settings.rounding == "gptq" and level.weights[0] in ("INT8", "INT4")


def _facts(maker: str, source: "Source", level: "Level", settings: "LevelSettings") -> dict[str, Any]:
    facts: dict[str, Any] = {"maker": maker}
    if level.weights[0] in ("INT8", "INT4"):
        facts |= {"per_channel": settings.per_channel, "rounding": settings.rounding}
    if level.calibrated:
        facts["ranges"] = settings.ranges
    if level.calibrated or _for_answers(level, settings):
        faces = source.faces.first(settings.calibration)
        facts |= {"calibration_faces": len(faces.images), "calibration_sha256": faces.sha256()}
    return facts


def _tuned_on(source: "Source") -> dict[str, Any]:
    faces = source.faces.tuning()
    return {"tuning_faces": len(faces.images), "tuning_sha256": faces.sha256()}
