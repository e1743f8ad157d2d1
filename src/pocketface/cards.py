"""Cards: what a model is and means, kept beside its file as `card.json`.

    card = read_card(Path("variants/age_gender/int8"), VariantCard)
    card.outputs["gender"].labels          # ('male', 'female')

`ModelCard` is written by training (or by the import of published weights), `VariantCard` by conversion.
Whoever runs a model takes its preprocessing and its answers' meaning from here and from nowhere else.
"""

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from pocketface.errors import PocketfaceError
from pocketface.files import write_json
from pocketface.study import Crop, Input, Strict

CARD = "card.json"


class Output(Strict):
    """One answer of a model.

    Attributes:
        kind: `number`: float `[N, 1]` in `unit`; `classes`: float `[N, len(labels)]` probabilities.
        unit: of a number, e.g. `years`.
        labels: of classes, in output order.
    """

    kind: Literal["number", "classes"]
    unit: str | None = None
    labels: tuple[str, ...] = ()


class ModelCard(Strict):
    """A trained or imported model, before conversion.

    Attributes:
        model: its name in the study.
        architecture, options: what builds it, see `pocketface.models`.
        dataset: what it was trained on.
        licence: the terms that travel with the data and so with the weights.
        crop: how the faces it was trained on were cut out.
        input: its window of such a crop; pixels are raw 0..255.
        outputs: head name -> meaning.
        parameters: number of weights, all and trainable.
        macs: multiply-accumulate operations for one face, convolutions and dense layers.
        training: the recipe, the seed, the number of faces, and the thread and oneDNN settings that the
            weights' bytes depend on.
    """

    model: str
    architecture: str
    options: dict[str, object] = {}
    dataset: str
    licence: str
    crop: Crop
    input: Input
    outputs: dict[str, Output]
    parameters: int
    trainable_parameters: int
    macs: int
    training: dict[str, object] = {}


class Parity(Strict):
    """How far a variant's outputs are from the Keras model's, on the same faces.

    Attributes:
        faces: how many were compared.
        max_difference, mean_difference: absolute, in the output's own unit.
        agreement: share of faces with the same answer: the same class, or less than half a unit apart.
        varies: whether the answers differ between faces at all.
    """

    faces: int
    max_difference: float
    mean_difference: float
    agreement: float
    varies: bool


class VariantCard(ModelCard):
    """A model at one quantization level.

    Attributes:
        level: see `pocketface.tflite.levels`.
        status: `ok`, or `failed` with the `reason`; a failed variant has no file and is a row in the
            report.
        size_bytes, sha256: of `model.tflite`.
        weight_dtypes, activation_dtypes: tensor type -> number of elements (weights) or tensors.
        operators: operator name -> count.
        calibration_sha256: of the list of train faces used for calibration.
        parity: head -> comparison with the Keras model.
    """

    level: str
    status: Literal["ok", "failed"] = "ok"
    reason: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    weight_dtypes: dict[str, int] = {}
    activation_dtypes: dict[str, int] = {}
    operators: dict[str, int] = {}
    calibration_faces: int | None = None
    calibration_sha256: str | None = None
    parity: dict[str, Parity] = {}


C = TypeVar("C", bound=ModelCard)


def write_card(folder: Path, card: ModelCard) -> None:
    """Writes `folder/card.json`."""
    write_json(Path(folder) / CARD, card.model_dump(mode="json"))


def read_card(folder: Path, kind: type[C]) -> C:
    """Reads `folder/card.json`.

    Raises:
        PocketfaceError: there is none, or it is not a card of that kind.
    """
    path = Path(folder) / CARD
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise PocketfaceError(f"{path}: no such file; a model needs its card beside it") from None
    except (ValidationError, ValueError) as error:
        raise PocketfaceError(f"{path}: not a {kind.__name__}: {error}") from None
