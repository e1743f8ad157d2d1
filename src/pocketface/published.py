"""Published models: what `weights/` holds, and how a model of a study gets there.

    publish(study, "age_gender", Path("weights/pocket"), levels=["int8"])
    default_models()                       # the folders that `pocketface predict` opens on its own
    named_variant(Path("attributes"))      # the folder of a published model that is named

A folder `weights/NAME` holds

- `card.json`: what the model is, the data and terms behind it, the study, seed and command that rebuild it,
  and the metrics of every level, whole and per group;
- `model.weights.h5`: the float weights, for studies that start from them;
- `seen.npy`: which pictures they have learned from, see `pocketface.faces.seen`;
- `LEVEL/model.tflite` and `LEVEL/card.json`: the variants that people want, as the pipeline made them.

It ships with the package, without the float weights.
"""

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

import pocketface
from pocketface.cards import CARD, MODEL_FILE, ModelCard, VariantCard, read_card, write_card
from pocketface.errors import PocketfaceError
from pocketface.faces import seen
from pocketface.files import sha256, written_whole
from pocketface.study import Strict, Study, load_study

PREFIX = "weights/"
WEIGHTS = "model.weights.h5"
LARGEST = 6_000_000
"""Bytes of a published folder: it lives in git."""
OPTIMIZER = "optimizer"
"""The part of Keras' weights that only a training needs."""
SMALL = 256
"""Numbers, below which compressing an array makes it larger."""
DEFAULT_LEVEL = "int8"
DEFAULT_MODELS = ("age_gender", "expression")
"""The folders whose models `pocketface predict` opens when nobody says which."""
LICENCE_NOTE = (
    "The terms of the training data travel with these weights. The code that made them is Apache-2.0. "
    "Whether pictures' terms bind weights is unsettled: treat them as if they did."
)


class LevelFigures(Strict):
    """What one level of a published model reached.

    Attributes:
        size_bytes, sha256: of its `model.tflite`.
        included: whether the file is in this folder.
        metrics: dataset -> metric -> value, on faces not trained on.
        groups: dataset -> grouping -> group -> figures.
        faces: dataset -> how many were measured.
        before: the metrics on faces among which copies of train faces were, where it was measured so once.
    """

    size_bytes: int | None
    sha256: str | None
    included: bool
    metrics: dict[str, dict[str, float]]
    groups: dict[str, dict[str, dict[str, Any]]]
    faces: dict[str, int] = {}
    before: dict[str, dict[str, float]] | None = None


class PublishedCard(ModelCard):
    """`weights/NAME/card.json`.

    Attributes:
        study, seed, command: what rebuilds it, from the root of the repository.
        sources: dataset -> where it comes from and its terms.
        licence_note: how to read the terms.
        weights_sha256: of `model.weights.h5`.
        weights_dtype: of its kernels.
        levels: the levels of the study that run.
    """

    study: str
    seed: int
    command: str
    sources: dict[str, str]
    licence_note: str = LICENCE_NOTE
    weights_sha256: str
    weights_dtype: Literal["float32", "float16"] = "float32"
    levels: dict[str, LevelFigures]


def folder() -> Path:
    """Where published models are: in the installed package, or in the repository that it runs from."""
    package = Path(pocketface.__file__).parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parents[1] / "weights"


def default_models(root: Path | None = None) -> list[Path]:
    """The published variants that answer age, gender and expression.

    Raises:
        PocketfaceError: one of them is not there.
    """
    root = root or folder()
    wanted = [root / model / DEFAULT_LEVEL for model in DEFAULT_MODELS]
    for variant in wanted:
        if not (variant / CARD).is_file():
            raise PocketfaceError(
                f"{variant}: no published model there; say --model, for example --model 'variants/*/int8' "
                "after `dvc repro`"
            )
    return wanted


def named(model: Path, root: Path | None = None) -> Path:
    """What a person means by a model: what lies at that path, or what is published by that name.

    Args:
        model: a path, `NAME` or `NAME/LEVEL`.
        root: where published models are.

    Raises:
        PocketfaceError: it is neither.
    """
    root = root or folder()
    if model.is_file() or (model / CARD).is_file():
        return model
    variants = {card.parent.relative_to(root): card.parent for card in sorted(root.glob(f"*/*/{CARD}"))}
    known = {place.parent: variants[place].parent for place in variants} | variants
    if model not in known and not model.exists():
        raise PocketfaceError(
            f"{model}: no such file or folder, and no published model; published are "
            f"{', '.join(place.as_posix() for place in variants) or 'none'}"
        )
    return known.get(model, model)


def named_variant(model: Path, root: Path | None = None) -> Path:
    """As `named`; of a published model's folder, the variant at `DEFAULT_LEVEL`."""
    place = named(model, root)
    default = place / DEFAULT_LEVEL
    return default if (default / CARD).is_file() and not (place / MODEL_FILE).exists() else place


def model_card(path: Path) -> ModelCard:
    """The card of a model's folder, published or made by `dvc repro`.

    Raises:
        PocketfaceError: there is none, it is damaged or a variant's, or published weights are missing or not
            the card's.
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
    """The card of a published folder.

    Raises:
        PocketfaceError: there is none, or it is not one.
    """
    return read_card(path, PublishedCard)


def check(path: Path, card: PublishedCard) -> None:
    """Raises a `PocketfaceError` unless the weights are those of the card."""
    weights = path / WEIGHTS
    if not weights.is_file():
        raise PocketfaceError(
            f"{weights}: no such file; it is in the repository, not in the installed package"
        )
    if sha256(weights) != card.weights_sha256:
        raise PocketfaceError(f"{weights}: not the file that {CARD} describes; publish the model again")


def publish(
    study: Study,
    model: str,
    out: Path,
    levels: Sequence[str] = (DEFAULT_LEVEL,),
    sources: dict[str, str] | None = None,
    root: Path = Path(),
    half: bool = False,
) -> PublishedCard:
    """Copies a model of the study that `dvc repro` has just run, and writes its card.

    Args:
        study: the params; `studies/STUDY.yaml` must say the same, for that is what the card tells to run.
        model: its name in the study.
        out: `weights/NAME`; one that is there is replaced.
        levels: those whose files are copied.
        sources: dataset -> where it comes from and its terms.
        root: of the repository.
        half: whether the kernels of the float weights are kept as float16.

    Raises:
        PocketfaceError: no such model or level, it was not made or not measured, it fails, it is fetched,
            there is no such study to rebuild it, or the folder would be too large.
    """
    if model not in study.models or model in study.fetched:
        trained = [name for name in study.models if name not in study.fetched]
        raise PocketfaceError(f"study {study.study} trains no {model!r}; it trains {', '.join(trained)}")
    if unknown := sorted(set(levels) - set(study.levels)):
        raise PocketfaceError(f"study {study.study} has no level {unknown}; it has {list(study.levels)}")
    _check_rebuilds(study, root)
    card = read_card(root / "models" / model, ModelCard)
    weights = root / "models" / model / WEIGHTS
    made = {level: read_card(root / "variants" / model / level, VariantCard) for level in study.levels}
    for level in levels:
        if made[level].status != "ok":
            raise PocketfaceError(f"variants/{model}/{level}: {made[level].status}: {made[level].reason}")
    facts = {
        **card.model_dump(),
        "study": study.study,
        "seed": study.seed,
        "command": f"cp studies/{study.study}.yaml params.yaml && dvc repro",
        "sources": sources or {},
        "levels": {
            level: _figures(root / "evaluation" / model / level, variant, level in levels)
            for level, variant in made.items()
            if variant.status == "ok"
        },
    }
    with written_whole(out) as partial:
        partial.mkdir(parents=True)
        _pack(weights, partial / WEIGHTS, half)
        packed = {
            "weights_sha256": sha256(partial / WEIGHTS),
            "weights_dtype": "float16" if half else "float32",
        }
        published = PublishedCard.model_validate(facts | packed)
        write_card(partial, published)
        seen.save(seen.load(root / "models" / model), partial)
        for level in levels:
            (partial / level).mkdir()
            shutil.copyfile(root / "variants" / model / level / MODEL_FILE, partial / level / MODEL_FILE)
            write_card(partial / level, _without_npu_file(made[level]))
        _check_size(partial, out)
    return published


def _without_npu_file(card: VariantCard) -> VariantCard:
    """The card of a variant whose compiled file stays behind: whoever has the NPU compiles for it."""
    if card.npu is None:
        return card
    return card.model_copy(update={"npu": card.npu.model_copy(update={"file": None})})


def _pack(source: Path, target: Path, half: bool = False) -> None:
    """Copies HDF5 weights, losslessly compressed: a tenth less to clone, and Keras reads it as it is.

    What an optimizer remembers, two numbers a weight, stays behind. With `half`, kernels are float16.
    """
    import h5py

    with h5py.File(source) as old, h5py.File(target, "w", libver="latest") as new:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if name.partition("/")[0] == OPTIMIZER:
                return
            if isinstance(item, h5py.Dataset):
                packed = {"compression": "gzip", "shuffle": True} if item.size >= SMALL else {}
                numbers = item[()]
                if half and numbers.dtype == np.float32 and numbers.ndim > 1:
                    numbers = numbers.astype(np.float16)
                copied = new.create_dataset(name, data=numbers, **packed)
            else:
                copied = new.require_group(name)
            copied.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)


def _check_rebuilds(study: Study, root: Path) -> None:
    path = root / "studies" / f"{study.study}.yaml"
    if not path.is_file() or load_study(path) != study:
        raise PocketfaceError(
            f"{path}: must be the study that made the model, so that others can rebuild it: "
            f"`{shlex.join(['cp', 'params.yaml', str(path)])}`"
        )


def _figures(evaluation: Path, variant: VariantCard, included: bool) -> LevelFigures:
    path = evaluation / "metrics.json"
    try:
        datasets = json.loads(path.read_text(encoding="utf-8"))["datasets"]
        return LevelFigures(
            size_bytes=variant.size_bytes,
            sha256=variant.sha256,
            included=included,
            metrics={name: found["metrics"] for name, found in datasets.items()},
            groups={name: found["by_group"] for name, found in datasets.items()},
            faces={name: found["n"] for name, found in datasets.items()},
        )
    except (OSError, ValueError, KeyError) as error:
        raise PocketfaceError(
            f"{path}: not readable ({error!r}); `dvc repro evaluate@{variant.model}-{variant.level}`"
        ) from None


def _check_size(made: Path, out: Path) -> None:
    sizes = {path: path.stat().st_size for path in sorted(made.rglob("*")) if path.is_file()}
    if sum(sizes.values()) > LARGEST:
        parts = ", ".join(f"{path.relative_to(made)} {size:,}" for path, size in sizes.items())
        raise PocketfaceError(
            f"{out}: {sum(sizes.values()):,} bytes, and {LARGEST:,} may be ({parts}); publish fewer levels, "
            "the weights at half precision (--half), or train a smaller model"
        )
