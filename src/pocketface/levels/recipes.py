"""The recipes: each makes a level's file from a `Source`.

Only `converted`, what falls back on it, and `finetuned` import TensorFlow: its converter is alone in writing
int16 activations that run, and fine-tuning is a training.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    facts: dict[str, Any]


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
    return _made("converter", file, source, level, settings)


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
    return _made("quantizer", file, source, level, settings)


def searched(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """By the quantizer, with the operators that need it left in float."""
    from pocketface.levels.mixed import search

    return _tuned("search", search(source, level, settings), source, level, settings)


def finetuned(source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """By the quantizer, on weights and ranges that were trained for it."""
    from pocketface.levels.finetune import finetune

    return _tuned("finetuning", finetune(source, level, settings), source, level, settings)


def for_answers(recipe: "Recipe") -> "Recipe":
    """The same recipe, weights rounded so that answers change least, see `pocketface.levels.rounding`."""
    return lambda source, level, settings: recipe(
        source, level, settings.model_copy(update={"rounding": "gptq"})
    )


def _made(
    maker: str, file: "TFLiteFile", source: "Source", level: "Level", settings: "LevelSettings"
) -> Made:
    """The file, its weights rounded anew if that is asked for."""
    facts: dict[str, Any] = {"maker": maker}
    integers = level.weights[0] in ("INT8", "INT4")
    anew = integers and settings.rounding == "gptq"
    if integers:
        facts |= {"per_channel": settings.per_channel, "rounding": settings.rounding}
    if level.calibrated:
        facts["ranges"] = settings.ranges
    if level.calibrated or anew:
        faces = source.faces.first(settings.calibration)
        facts |= {"calibration_faces": len(faces.images), "calibration_sha256": faces.sha256()}
    if anew:
        from pocketface.levels import output_correction, rounding

        numbers = [head for head, output in source.outputs.items() if output.kind == "number"]
        file = rounding.refine(source.float32, file, faces.pixels)
        file = output_correction.correct(source.float32, file, faces.pixels, numbers)
    return Made(file, facts)


def _tuned(maker: str, tuned: Made, source: "Source", level: "Level", settings: "LevelSettings") -> Made:
    """The file that was tuned on further faces, with what the card of any says, too."""
    made = _made(maker, tuned.file, source, level, settings.model_copy(update={"rounding": "nearest"}))
    faces = source.faces.tuning()
    about = {"tuning_faces": len(faces.images), "tuning_sha256": faces.sha256()}
    return Made(tuned.file, made.facts | about | tuned.facts)
