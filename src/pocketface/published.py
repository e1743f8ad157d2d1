"""Published models: what `weights/` holds.

A folder `weights/NAME` holds `card.json`, see `PublishedCard`; `model.weights.h5`, float, for studies that
start from it; `seen.npy`, see `pocketface.faces.seen`; and the published variants, `LEVEL/model.tflite` and
`LEVEL/card.json`. It ships with the package, without the float weights.
"""

from pathlib import Path
from typing import Any, Literal

import pocketface
from pocketface.cards import CARD, MODEL_FILE, ModelCard, read_card
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.core.labels import AGE_BANDS, BAND_STARTS
from pocketface.core.settings import Name, Sha256, Strict

PREFIX = f"{outs.WEIGHTS}/"
NOTICE = "WEIGHTS.md"
WEIGHTS = "model.weights.h5"
DEFAULT_LEVEL = "int8"
DEFAULT_MODELS = ("age_gender_expression",)
"""The folders whose models `pocketface predict` opens by default."""
LICENCE_NOTE = (
    "The terms of the training data travel with these weights. The code that made them is Apache-2.0. "
    "Whether pictures' terms bind weights is unsettled: treat them as if they did."
)


class LevelResult(Strict):
    """What one level of a published model reached.

    Attributes:
        size_bytes, sha256: of its `model.tflite`.
        included: whether the file is in this folder.
        metrics, groups, faces: of each dataset, on faces not trained on: metric -> value, grouping -> group
            -> metrics (of float32 and the files in this folder), and how many.
        test: metrics on the reserved test parts; measured on `PublishedCard.tested`.
        before: the metrics on faces among which copies of train faces were, where it was measured so once.
    """

    size_bytes: int | None
    sha256: str | None
    included: bool
    metrics: dict[str, dict[str, float]]
    groups: dict[str, dict[str, dict[str, Any]]]
    faces: dict[str, int] = {}
    test: dict[str, dict[str, float]] = {}
    before: dict[str, dict[str, float]] | None = None


class PublishedCard(ModelCard):
    """`weights/NAME/card.json`.

    Attributes:
        study, seed, command: what rebuilds it, from the root of the repository.
        sources: dataset -> where it comes from and its terms.
        licence_note: how to read the terms.
        weights_sha256: of `model.weights.h5`.
        weights_dtype: of its kernels.
        tested: the day on which the test parts were read, once a release; null if they were not.
        levels: the levels of the study that run.
    """

    study: Name
    seed: int
    command: str
    sources: dict[str, str]
    licence_note: str = LICENCE_NOTE
    weights_sha256: Sha256
    weights_dtype: Literal["float32", "float16"] = "float32"
    tested: str | None = None
    levels: dict[str, LevelResult]


def folder() -> Path:
    """Where published models are: in the installed package, or in the repository that it runs from."""
    package = Path(pocketface.__file__).parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parents[1] / "weights"


def terms() -> str:
    """The line that a command says of the weights that it uses."""
    return (
        "weights have the terms of what they learned from, the published ones non-commercial research only: "
        f"{folder() / NOTICE}"
    )


def default_models() -> list[Path]:
    """The published variants that answer age, gender and expression; a missing one is a `PocketfaceError`."""
    wanted = [folder() / model / DEFAULT_LEVEL for model in DEFAULT_MODELS]
    for variant in wanted:
        if not (variant / CARD).is_file():
            raise PocketfaceError(
                f"{variant}: no published model there; say --model, for example --model 'variants/*/int8' "
                "after `dvc repro`"
            )
    return wanted


def named(model: Path) -> Path:
    """What lies at that path, or is published as `NAME` or `NAME/LEVEL`; else a `PocketfaceError`."""
    if model.is_file() or (model / CARD).is_file():
        return model
    root = folder()
    variants = {card.parent.relative_to(root): card.parent for card in sorted(root.glob(f"*/*/{CARD}"))}
    known = {place.parent: variants[place].parent for place in variants} | variants
    if model not in known and not model.exists():
        raise PocketfaceError(
            f"{model}: no such file or folder, and no published model; published are "
            f"{', '.join(place.as_posix() for place in variants) or 'none'}"
        )
    return known.get(model, model)


def named_variant(model: Path) -> Path:
    """As `named`; of a published model's folder, the variant at `DEFAULT_LEVEL`."""
    place = named(model)
    default = place / DEFAULT_LEVEL
    return default if (default / CARD).is_file() and not (place / MODEL_FILE).exists() else place


def model_card(path: Path) -> ModelCard:
    """The card of a model's folder, published or made by `dvc repro`.

    Raises:
        PocketfaceError: there is none, it is damaged or a variant's, or published weights are not the card's.
    """
    if path.is_file() or (path / MODEL_FILE).is_file():
        raise PocketfaceError(f"{path}: a variant; name the folder of its model, which holds float weights")
    try:
        card = read(path)
    except PocketfaceError:
        return read_card(path, ModelCard)
    check(path, card)
    return card


def read(path: Path) -> PublishedCard:
    """The card of a published folder; anything else is a `PocketfaceError`."""
    return read_card(path, PublishedCard)


def age_errors(variant: Path) -> list[tuple[int, float]]:
    """How far an age that a published variant answers may be off: `(from years on, mean error in years)`,
    rising.

    Measured on the faces of each band of ages, of the first dataset that has ages; empty for a variant that
    is not published or answers none.
    """
    try:
        level = read(variant.parent).levels.get(variant.name)
    except PocketfaceError:
        return []
    for groups in level.groups.values() if level else ():
        bands = groups.get("age_band", {})
        starts = zip(BAND_STARTS, AGE_BANDS, strict=True)
        if found := [
            (start, bands[band]["age_mae"]) for start, band in starts if "age_mae" in bands.get(band, {})
        ]:
            return found
    return []


def check(path: Path, card: PublishedCard) -> None:
    """Raises a `PocketfaceError` unless the weights are those of the card."""
    weights = path / WEIGHTS
    if not weights.is_file():
        raise PocketfaceError(
            f"{weights}: no such file; it is in the repository, not in the installed package"
        )
    if sha256(weights) != card.weights_sha256:
        raise PocketfaceError(f"{weights}: not the file that {CARD} describes; publish the model again")
