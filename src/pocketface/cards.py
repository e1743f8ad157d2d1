"""Cards: what a model is and means, kept beside its file as `card.json`.

A model's preprocessing and its answers' meaning stand here; its file says the same of itself, and
`pocketface.tflite.meaning` compares. A card may be somebody else's: its free text is read as one line.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, shown
from pocketface.core.files import parse_json, read_text, write_json
from pocketface.core.labels import Head, Output
from pocketface.core.params import explained
from pocketface.core.settings import FileName, Name, Option, Sha256, Strict
from pocketface.faces.settings import Crop, Input

CARD = "card.json"
MODEL_FILE = "model.tflite"
"""What stands beside the card of a variant that was made."""


def _one_line(content: Any) -> Any:
    """The same with all text, keys too, as `shown` writes it."""
    if isinstance(content, dict):
        return {_one_line(key): _one_line(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_one_line(value) for value in content]
    return shown(content) if isinstance(content, str) else content


class Meaning(Strict):
    """The crop of the faces, a model's window of it (raw 0..255), and head -> meaning of its output."""

    crop: Crop
    input: Input
    outputs: Annotated[dict[Head, Output], Field(min_length=1)]


class ModelCard(Meaning):
    """A trained or imported model, before conversion.

    Attributes:
        model: its name in the study.
        architecture, options: what builds it, see `pocketface.models`.
        dataset: what it was trained on.
        licence: the terms that travel with the data and so with the weights.
        parameters: number of weights, all and trainable.
        macs: multiply-accumulate operations for one face, convolutions and dense layers.
        training: the recipe, seed, faces and settings that the weights depend on; of fetched ones, the
            source.
        status: `ok`, or with a `reason` `unavailable`, where weights could not be fetched, as are its
            variants.
    """

    model: Name
    architecture: Name
    options: dict[str, Option] = {}
    dataset: str
    licence: str
    parameters: int
    trainable_parameters: int
    macs: int
    training: dict[str, object] = {}
    status: Literal["ok", "unavailable", "failed"] = "ok"
    reason: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_is_one_line(cls, card: Any) -> Any:
        """Of all but the outputs, whose labels are refused rather than changed."""
        if not isinstance(card, dict):
            return card
        return {name: value if name == "outputs" else _one_line(value) for name, value in card.items()}


class Parity(Strict):
    """How far a variant's outputs are from the Keras model's, on the same faces.

    Attributes:
        max_difference, mean_difference: absolute, in the output's own unit.
        agreement: share of faces with the same answer: the same class, or less than half a unit apart.
        varies: whether the answers differ between faces at all.
    """

    faces: int
    max_difference: float
    mean_difference: float
    agreement: float
    varies: bool


class Port(Strict):
    """An input or output of a file: value = scale x (stored - zero_point), of an integer type."""

    dtype: str
    scale: Annotated[float, Field(gt=0)] | None = None
    zero_point: int | None = None


class Runtime(Strict):
    """Whether a runtime runs a variant and answers as LiteRT's own kernels do, or the reason.

    Attributes:
        max_difference: from LiteRT's own kernels; of answers above 1, as a share of the greatest.
        arena_bytes: memory for tensors at its peak; TensorFlow Lite Micro only.
    """

    runs: bool
    reason: str | None = None
    max_difference: float | None = None
    arena_bytes: int | None = None


class Npu(Strict):
    """What Vela reports of a variant on an Ethos-U (`accelerator`), or the reason why it does not compile.

    Attributes:
        npu_operators, cpu_operators: how many run where, after Vela's own rewriting; `npu_share` of them all.
        cycles: for one face.
        sram_bytes: used at the peak.
        file, sha256: the compiled model, beside the card.
    """

    accelerator: str
    reason: str | None = None
    npu_operators: int | None = None
    cpu_operators: int | None = None
    npu_share: float | None = None
    cycles: int | None = None
    sram_bytes: int | None = None
    file: FileName | None = None
    sha256: Sha256 | None = None


class Sensitivity(Strict):
    """What quantizing one operator alone does.

    Attributes:
        operator, kind: the name of the tensor it writes, and e.g. `CONV_2D`.
        weights: values in its constant tensors.
        deviation: mean change of the outputs, each in units of its own spread over the faces, summed.
        kept: whether it stays in float.
    """

    operator: str
    kind: str
    weights: int
    deviation: float
    kept: bool


class Drop(Strict):
    """A metric on the faces that a level was tuned on: of float32, of plain int8, and of this file."""

    metric: str
    bound: float
    float32: float
    int8: float
    mixed: float


class VariantCard(ModelCard):
    """A model at one quantization level.

    Attributes:
        level: see `pocketface.levels`.
        status: `ok`; one that is `failed` or `unavailable` has no file, and is a row in the report.
        size_bytes, sha256: of `model.tflite`.
        weight_dtypes, activation_dtypes: tensor type -> number of elements (weights) or tensors.
        operators: operator name -> count.
        min_runtime: the oldest TensorFlow or tflite-runtime that can run the file, as the file says.
        maker: what made the file, see `pocketface.levels`.
        size_ratio: to the float32 file.
        ports: `image` and the heads, as the file declares them.
        calibration_faces, calibration_sha256: train faces that ranges were measured on or weights rounded
            for, and hash of the list of their names; `tuning_…` of those searched or fine-tuned on.
        ranges, per_channel, rounding: how scales and weights were chosen, see `pocketface.levels`.
        drops, sensitivity: of a searched level, the metrics it had to keep and its operators, the most
            sensitive first.
        finetuning: of a fine-tuned level, the recipe and what came of it.
        runtimes, npu: what runs the file, and Vela's report, where the stage `micro` has run.
        parity: head -> comparison with the Keras model.
    """

    level: Name
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    sha256: Sha256 | None = None
    weight_dtypes: dict[str, int] = {}
    activation_dtypes: dict[str, int] = {}
    operators: dict[str, int] = {}
    min_runtime: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None
    maker: str | None = None
    size_ratio: float | None = None
    ports: dict[str, Port] = {}
    calibration_faces: int | None = None
    calibration_sha256: str | None = None
    ranges: str | None = None
    per_channel: bool | None = None
    rounding: Literal["nearest", "gptq"] | None = None
    tuning_faces: int | None = None
    tuning_sha256: str | None = None
    drops: list[Drop] = []
    sensitivity: list[Sensitivity] = []
    finetuning: dict[str, object] = {}
    runtimes: dict[str, Runtime] = {}
    npu: Npu | None = None
    parity: dict[str, Parity] = {}

    @model_validator(mode="after")
    def _a_file_has_a_hash(self) -> "VariantCard":
        if self.status == "ok" and (self.sha256 is None or self.size_bytes is None):
            raise ValueError("sha256, size_bytes: a variant with the status ok has those of its file")
        return self


C = TypeVar("C", bound=ModelCard)


def write_card(folder: Path, card: ModelCard) -> None:
    """Writes `folder/card.json`."""
    write_json(Path(folder) / CARD, card.model_dump(mode="json"))


def read_card(folder: Path, kind: type[C]) -> C:
    """Reads `folder/card.json`; none, or one of another kind, is a `PocketfaceError`."""
    path = Path(folder) / CARD
    try:
        return kind.model_validate(parse_json(read_text(path)))
    except (FileNotFoundError, NotADirectoryError):
        raise PocketfaceError(f"{path}: no such file; a model needs its card beside it") from None
    except ValidationError as error:
        raise PocketfaceError(f"{path}: not a {kind.__name__}: {explained(error)}") from None
    except ValueError as error:
        raise PocketfaceError(f"{path}: not a {kind.__name__}: {error}") from None


def variant_folder(root: Path, model: str, level: str) -> Path:
    """`micro/MODEL/LEVEL`, if the stage `micro` has tried this very file, else `variants/MODEL/LEVEL`.

    Raises:
        PocketfaceError: there is no such variant.
    """
    made, tried = (Path(root) / place / model / level for place in (outs.VARIANTS, outs.MICRO))
    card = read_card(made, VariantCard)
    return tried if (tried / CARD).is_file() and read_card(tried, VariantCard).sha256 == card.sha256 else made
