"""Whether a file holds what its level's name says."""

from pocketface.core.errors import PocketfaceError
from pocketface.levels import Level
from pocketface.tflite.file import TFLiteFile


def check(file: TFLiteFile, level: Level) -> None:
    """Fails a file that does not.

    Raises:
        PocketfaceError: a large weight, an activation, the input or an output has another type, or it says
            that it runs where it is misread.
    """
    if file.understated:
        raise PocketfaceError(f"level {level.name}: {'; '.join(file.understated)}")
    _held(level.name, "weights", set(file.large_weight_dtypes), level.weights)
    _held(level.name, "activations", set(file.activation_dtypes), level.activations)
    _held(level.name, "inputs", {port.dtype for port in file.inputs.values()}, (level.input,))
    _held(level.name, "outputs", {port.dtype for port in file.outputs.values()}, (level.output,))


def _held(level: str, what: str, found: set[str], wanted: tuple[str, ...]) -> None:
    """Nothing but `wanted`, and the first of it where there is anything at all."""
    if found - set(wanted) or (found and wanted[0] not in found):
        raise PocketfaceError(
            f"level {level} should have {' and '.join(wanted)} {what}, the file has {sorted(found)}"
        )
