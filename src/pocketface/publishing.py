"""How a model of a study gets into `weights/`."""

import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import h5py
import numpy as np
from h5py import h5f, h5g, h5p

from pocketface import published
from pocketface.cards import MODEL_FILE, ModelCard, VariantCard, read_card, variant_folder, write_card
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256, written_whole
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.faces import seen
from pocketface.faces.index import FaceSet
from pocketface.faces.selection import evaluation_split, save, select
from pocketface.fetching.sources import load_sources
from pocketface.importing.pretrained import attributions
from pocketface.metrics.measures import measure
from pocketface.published import DEFAULT_LEVEL, WEIGHTS, LevelResult, PublishedCard
from pocketface.results.table import AGAINST_BEST, FACES, FLOAT32, RESULTS, Table
from pocketface.study import Study, load_study

LARGEST = 9_000_000
"""Bytes of a published folder: it lives in git. A network with a branch has the layers of two."""
OPTIMIZER = "optimizer"
"""The part of Keras' weights that only a training needs: two numbers a weight."""
SMALL = 256
"""Numbers, below which compressing an array makes it larger."""


def publish(
    study: Study,
    model: str,
    out: Path,
    levels: Sequence[str] = (DEFAULT_LEVEL,),
    root: Path = Path(),
    half: bool = False,
    test: bool = False,
) -> PublishedCard:
    """Copies a model of the study that `dvc repro` has just run, and writes its card.

    Args:
        study: the params; `studies/STUDY.yaml` must say the same, as the card names it.
        model: its name in the study.
        out: `weights/NAME`; one that is there is replaced.
        levels: those whose files are copied.
        root: of the repository.
        half: whether the kernels of the float weights are kept as float16.
        test: whether its levels are measured on the reserved test parts, too; what was so measured before of
            the same files is kept, and they are not read again.

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
    card = read_card(root / outs.MODELS / model, ModelCard)
    weights, table = root / outs.MODELS / model / WEIGHTS, Table.read(root / RESULTS)
    made = {level: read_card(variant_folder(root, model, level), VariantCard) for level in study.levels}
    for level in levels:
        if made[level].status != "ok":
            raise PocketfaceError(
                f"{outs.VARIANTS / model / level}: {made[level].status}: {made[level].reason}"
            )
    earlier = _earlier(out)
    day, tested = _tested_before(earlier, made)
    if test and day is None:
        day, tested = date.today().isoformat(), _tested(study, model, made, root)
    facts = {
        **card.model_dump(),
        "study": study.study,
        "seed": study.seed,
        "command": f"pocketface study use {study.study} && dvc repro",
        "sources": attributions(study, model, load_sources(root / outs.SOURCES)),
        "tested": day,
        "levels": {
            level: _measured(
                table, variant, level in levels, tested.get(level, {}), _before(earlier, card, level)
            )
            for level, variant in made.items()
            if variant.status == "ok"
        },
    }
    with written_whole(out, folder=True) as partial:
        pack(weights, partial / WEIGHTS, lambda numbers: half and numbers.ndim > 1)
        facts |= {"weights_sha256": sha256(partial / WEIGHTS), "weights_dtype": f"float{16 if half else 32}"}
        write_card(partial, PublishedCard.model_validate(facts))
        seen.save(seen.load(root / outs.MODELS / model), partial)
        for level in levels:
            (partial / level).mkdir()
            shutil.copyfile(root / outs.VARIANTS / model / level / MODEL_FILE, partial / level / MODEL_FILE)
            # The compiled file stays behind: whoever has the NPU compiles for it.
            npu = made[level].npu
            npu = npu and npu.model_copy(update={"file": None, "sha256": None})
            write_card(partial / level, made[level].model_copy(update={"npu": npu}))
        _check_size(partial, out)
    return read_card(out, PublishedCard)


def pack(source: Path, target: Path, half: Callable[[np.ndarray], bool]) -> None:
    """Copies HDF5 weights, compressed, without the optimizer's, and as float16 what `half` says.

    The newest format is the smallest, and notes when a group was made unless told not to.
    """
    access, timeless = h5p.create(h5p.FILE_ACCESS), h5p.create(h5p.FILE_CREATE)
    access.set_libver_bounds(h5f.LIBVER_LATEST, h5f.LIBVER_LATEST)
    timeless.set_obj_track_times(False)
    group = h5p.create(h5p.GROUP_CREATE)
    group.set_obj_track_times(False)
    made = h5f.create(str(target).encode(), h5f.ACC_TRUNC, timeless, access)
    with h5py.File(source) as old, h5py.File(made) as new:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if name.partition("/")[0] == OPTIMIZER:
                return
            if isinstance(item, h5py.Dataset):
                packed = {"compression": "gzip", "shuffle": True} if item.size >= SMALL else {}
                numbers = item[()]
                if numbers.dtype == np.float32 and half(numbers):
                    numbers = numbers.astype(np.float16)
                copied = new.create_dataset(name, data=numbers, **packed)
            else:
                copied = h5py.Group(h5g.create(new.id, name.encode(), gcpl=group))
            copied.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)


def _check_rebuilds(study: Study, root: Path) -> None:
    path = root / outs.STUDIES / f"{study.study}.yaml"
    if not path.is_file() or load_study(path) != study:
        raise PocketfaceError(
            f"{path}: must be the study that made the model, so that others can rebuild it: "
            f"`{shlex.join(['cp', 'params.yaml', str(path)])}`"
        )


Tested = dict[str, dict[str, dict[str, float]]]
"""Level -> dataset -> metric -> value, on the reserved test parts."""


def _earlier(out: Path) -> PublishedCard | None:
    """The card of what stands there."""
    try:
        return published.read(out)
    except PocketfaceError:
        return None


def _tested_before(
    earlier: PublishedCard | None, made: Mapping[str, VariantCard]
) -> tuple[str | None, Tested]:
    """The day on which the same files were measured on the reserved parts, and what was found, if ever."""
    hashes = {level: card.sha256 for level, card in made.items() if card.status == "ok"}
    if earlier is None or hashes != {level: result.sha256 for level, result in earlier.levels.items()}:
        return None, {}
    return earlier.tested, {level: result.test for level, result in earlier.levels.items()}


def _before(earlier: PublishedCard | None, card: ModelCard, level: str) -> dict[str, dict[str, float]] | None:
    """What the same training was measured at on faces among which copies of train faces were."""
    if earlier is None or earlier.training != card.training or level not in earlier.levels:
        return None
    return earlier.levels[level].before


def _tested(study: Study, model: str, made: Mapping[str, VariantCard], root: Path) -> Tested:
    """Measures the levels on the reserved parts; a hold-out, which studies measure whole, has none."""
    parts = [*study.trained_on(model), study.holdout]
    sets = [FaceSet.load(root / outs.FACES / part) for part in parts]
    main, *also, holdout = sets
    reserved = {one.dataset for one in sets if evaluation_split(one) != evaluation_split(one, test=True)}
    known = seen.load(root / outs.MODELS / model)
    found: Tested = {}
    with tempfile.TemporaryDirectory() as folder:
        views = Path(folder) / model
        save(select(main, holdout, study.models[model].input, also, known, test=True), views)
        for level, card in made.items():
            if card.status == "ok":
                answers = evaluate_variant(root / outs.VARIANTS / model / level, views)[1].groupby("dataset")
                found[level] = {
                    str(name): measure(rows.dropna(axis=1, how="all")).values
                    for name, rows in answers
                    if name in reserved
                }
    return found


def _measured(
    table: Table,
    variant: VariantCard,
    included: bool,
    test: dict[str, dict[str, float]],
    before: dict[str, dict[str, float]] | None,
) -> LevelResult:
    metrics: dict[str, dict[str, float]] = {}
    groups: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    faces: dict[str, int] = {}
    for row in table.of(variant.model, variant.level):
        if row.value is None or not row.dataset or row.grouping == AGAINST_BEST:
            continue
        if row.grouping:
            if not (included or variant.level == FLOAT32):
                continue
            own = groups.setdefault(row.dataset, {}).setdefault(row.grouping, {}).setdefault(row.group, {})
            name, value = ("n", int(row.value)) if row.metric == FACES else (row.metric, row.value)
            own[name] = value
        elif row.metric == FACES:
            faces[row.dataset] = int(row.value)
        else:
            metrics.setdefault(row.dataset, {})[row.metric] = row.value
    return LevelResult(
        size_bytes=variant.size_bytes,
        sha256=variant.sha256,
        included=included,
        metrics=metrics,
        groups=groups,
        faces=faces,
        test=test,
        before=before,
    )


def _check_size(made: Path, out: Path) -> None:
    sizes = {path: path.stat().st_size for path in sorted(made.rglob("*")) if path.is_file()}
    if sum(sizes.values()) > LARGEST:
        parts = ", ".join(f"{path.relative_to(made)} {size:,}" for path, size in sizes.items())
        raise PocketfaceError(
            f"{out}: {sum(sizes.values()):,} bytes, and {LARGEST:,} may be ({parts}); publish fewer levels, "
            "the weights at half precision (--half), or train a smaller model"
        )
