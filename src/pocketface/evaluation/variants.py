"""Opening a model for use: the file, and what goes in and comes out.

A model is a variant's folder, its `model.tflite` with the card beside it, or a bare `.tflite` file, which is
understood by its metadata (`pocketface.tflite.meaning`) or else by its signature: the size of the faces and
the names `age`, `gender` and `expression`; the crop is then the default, and the variant is `unchecked`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketface import published
from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card
from pocketface.core import labels
from pocketface.core.errors import PocketfaceError, located
from pocketface.core.labels import Output
from pocketface.faces.settings import Crop, Input
from pocketface.metrics import answers
from pocketface.tflite import meaning
from pocketface.tflite.run import Runner, tried

if TYPE_CHECKING:
    import pandas as pd

BARE_OUTPUTS = {head: labels.meaning(head) for head in ("age", "gender", "expression")}
"""What the outputs of a file without a card are taken to mean, by their names."""


@dataclass(frozen=True)
class Variant:
    """A model ready to run.

    Attributes:
        name: `MODEL/LEVEL`, or the path of a file without a card.
        crop: how the faces it was trained on were cut out.
        input: its window of such a crop.
        outputs: head -> meaning.
        runner: gives the raw outputs.
        unchecked: whether the meaning is only assumed, from the names of the outputs.
        age_errors: how far an age may be off, see `published.age_errors`.
    """

    name: str
    crop: Crop
    input: Input
    outputs: dict[str, Output]
    runner: Runner
    unchecked: bool = False
    age_errors: Sequence[tuple[int, float]] = ()

    def decode(self, outputs: dict[str, np.ndarray]) -> "pd.DataFrame":
        """What `columns` gives, as a table."""
        with located(self.runner.path):
            return answers.decode(outputs, self.outputs)

    def columns(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The answers in raw outputs, see `pocketface.metrics.answers`.

        Raises:
            PocketfaceError: the outputs are not what the card says.
        """
        with located(self.runner.path):
            return answers.columns(outputs, self.outputs)


def open_variant(path: Path, threads: int = 1) -> Variant:
    """Opens a folder with `model.tflite` and `card.json`, or a `.tflite` file, for so many CPU threads.

    Raises:
        PocketfaceError: there is no such model, the file is damaged or is not the one that its card
            describes, or it has no card and its signature does not tell what it does.
    """
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    card = read_card(file.parent, VariantCard) if path.is_dir() or (file.parent / CARD).is_file() else None
    if card is not None and card.status != "ok":
        raise PocketfaceError(f"{path}: there is no such model ({card.status}: {card.reason}); take another")
    if card is None:
        runner = Runner(tried(file), threads)
        said = meaning.read(runner)
        if said is None:
            return _assumed(runner)
        meaning.check(runner, said)
        return Variant(str(runner.path), said.crop, said.input, said.outputs, runner)
    runner = meaning.opened(file, card, threads)
    name, errors = f"{card.model}/{card.level}", published.age_errors(file.parent)
    return Variant(name, card.crop, card.input, card.outputs, runner, age_errors=errors)


def open_variants(paths: Sequence[Path], threads: int = 1) -> list[Variant]:
    """Opens several models; see `open_variant` for what it raises."""
    return [open_variant(path, threads) for path in paths]


def second_to(variants: Sequence[Variant]) -> list[set[str]]:
    """Of each variant those heads that one before it answers, too: there it gives a second opinion."""
    answered: set[str] = set()
    second = []
    for variant in variants:
        second.append(answered & set(variant.outputs))
        answered |= set(variant.outputs)
    return second


def _assumed(runner: Runner) -> Variant:
    shape, known = runner.input_shape, ", ".join(BARE_OUTPUTS)
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
        raise PocketfaceError(f"{runner.path}: takes {shape}, not a square grey or RGB picture")
    for head, width in runner.outputs.items():
        if head not in BARE_OUTPUTS or width != (max(len(BARE_OUTPUTS[head].labels), 1),):
            raise PocketfaceError(
                f"{runner.path}: no {CARD} beside it says what its output {head!r} {width} means, "
                f"and it is none of {known} with 1, 2 and 7 values"
            )
    try:
        seen = Input(size=shape[0], channels=1 if shape[2] == 1 else 3)
    except ValueError:
        raise PocketfaceError(f"{runner.path}: takes faces of {shape[0]} pixels; 16 to 512 can be") from None
    return Variant(
        name=str(runner.path),
        crop=Crop(policy="largest", margin=seen.margin),
        input=seen,
        outputs={head: BARE_OUTPUTS[head] for head in runner.outputs},
        runner=runner,
        unchecked=True,
    )
