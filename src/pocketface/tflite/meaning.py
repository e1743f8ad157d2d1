"""What a file says of its own meaning, and whether its card says the same.

Crop, input and outputs (labels, in their order) are also in the file, as JSON in its metadata under `NAME`,
since a card can be changed or land beside another file. This finds mistakes and damage, not an attacker.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pocketface.cards import CARD, Meaning, VariantCard
from pocketface.core.budget import MODEL
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import parse_json, rounded, sha256
from pocketface.core.params import explained
from pocketface.tflite.file import TFLiteFile, set_metadata
from pocketface.tflite.run import Runner, tried

NAME = b"pocketface.meaning"
AGAIN = "make it again with `dvc repro`, or take it from where it came from"


def said(meaning: Meaning) -> bytes:
    """What stands in the file, by which the two are compared."""
    return json.dumps(_content(meaning), sort_keys=True, separators=(",", ":")).encode()


def bound(file: TFLiteFile, meaning: Meaning) -> TFLiteFile:
    """The same model, which says what it means.

    Raises:
        PocketfaceError: as `TFLiteFile.write`.
    """
    model = file.copy()
    set_metadata(model, NAME, said(meaning))
    return TFLiteFile.write(model)


def read(runner: Runner) -> Meaning | None:
    """What a file says of itself, if it says anything.

    Raises:
        PocketfaceError: it says something that no model means.
    """
    try:
        said = runner.file.metadata(NAME)
        return None if said is None else Meaning.model_validate(parse_json(said.decode()))
    except ValidationError as error:
        raise PocketfaceError(f"{runner.path}: what it means: {explained(error)}") from None
    except ValueError as error:
        raise PocketfaceError(f"{runner.path}: what it means is unreadable: {error}") from None


def opened(file: Path, card: VariantCard, threads: int = 1) -> Runner:
    """Opens the file of a card with the status `ok`, once it is sure that they belong together.

    Raises:
        PocketfaceError: the file cannot be run or is not the one that the card describes, or they differ in
            crop, input, outputs, shapes or scales.
    """
    if file.is_file() and (file.stat().st_size > MODEL.bytes or sha256(file) != card.sha256):
        raise PocketfaceError(f"{file}: damaged, or not the file that {CARD} describes; {AGAIN}")
    runner = Runner(tried(file), threads)
    check(runner, card)
    meaning = read(runner)
    if meaning is None:
        raise PocketfaceError(f"{file}: does not say what it means, so {CARD} cannot be checked; {AGAIN}")
    own, told = _content(meaning), _content(card)
    if others := [name for name in own if own[name] != told[name]]:
        raise PocketfaceError(f"{file}: says otherwise of its {' and '.join(others)} than {CARD}; {AGAIN}")
    for name, port in card.ports.items():
        if name not in runner.ports or rounded(runner.ports[name].model_dump()) != rounded(port.model_dump()):
            raise PocketfaceError(f"{file}: its {name} has another type or scale than {CARD} says; {AGAIN}")
    return runner


def check(runner: Runner, meaning: Meaning) -> None:
    """Checks that a file's inputs and outputs can have a meaning.

    Raises:
        PocketfaceError: the heads differ, or the shapes.
    """
    wanted = (meaning.input.size, meaning.input.size, meaning.input.channels)
    if runner.input_shape != wanted:
        raise PocketfaceError(f"{runner.path}: takes faces of {runner.input_shape}, its card says {wanted}")
    widths = {head: (max(len(output.labels), 1),) for head, output in meaning.outputs.items()}
    if runner.outputs != widths:
        raise PocketfaceError(f"{runner.path}: answers {runner.outputs}, its card says {widths}")


def _content(meaning: Meaning) -> dict[str, Any]:
    """What is written: six digits, as in a card; nulls are left out."""
    said = meaning.model_dump(mode="json", include=set(Meaning.model_fields), exclude_none=True)
    return dict(rounded(said))
