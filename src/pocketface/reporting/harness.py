"""How much of a loss is the harness and how much the quantization: `reports/STUDY/harness.md`.

    write_harness(study, "photos")

The same photographs go to every variant three ways: as the pipeline does it (face found, cut out, right order
of colours), as a whole frame squeezed to the input, and that with red and blue swapped besides. The loss of a
converted model that was evaluated the last way splits into what quantization took, measured properly, and
what the harness took.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.cards import VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import write_json, written_whole
from pocketface.evaluation import squeezed
from pocketface.evaluation.variants import open_variant
from pocketface.metrics.measures import measure
from pocketface.reporting.quantities import MISSING, change, shown, title_of
from pocketface.reporting.tables import Row, Table
from pocketface.study import Study

FLOAT32 = "float32"
WAYS = ("proper", "squeezed", "swapped")
HEADER = (
    "model",
    "level",
    "photos",
    "face found and cut out (%)",
    "whole frame squeezed (%)",
    "and red, blue swapped (%)",
    "lost to quantization",
    "lost to the harness",
)

Figures = dict[str, float | int]
"""Way -> share of right answers; `n`, of how many photographs."""
Found = dict[str, dict[str, dict[str, Figures] | str]]
"""Model -> level -> metric -> figures, or why there are none."""

ABOUT = """\
Every photograph of `{dataset}` in which a face was found, three ways: the face found, aligned and cut out as
in training; the whole frame squeezed to the model's input; and that with red and blue swapped, as
`cv2.imread` without conversion does. The last is how the 24-photo report (DLBAIPEAI01, task 2) evaluated its
converted models. *Lost to quantization* is a level against float32, both seen properly; *lost to the harness*
is the same level squeezed and swapped, against seen properly; in percentage points, and the two add up to the
whole change.
With {n} photographs, one of them is {step:.1f} points."""


def write_harness(study: Study, dataset: str, root: Path = Path()) -> Path:
    """Measures every variant on the squeezed photographs, and writes `harness.md` and `harness.json`.

    Args:
        study: the params.
        dataset: uncropped pictures that every model was evaluated on.
        root: of the repository.

    Returns:
        The path of `harness.md`.

    Raises:
        PocketfaceError: an out is missing or damaged.
    """
    found: Found = {
        model: {level: _measured(root, dataset, model, level) for level in study.levels}
        for model in study.models
    }
    folder = root / "reports" / study.study
    write_json(folder / "harness.json", {"dataset": dataset, "models": found})
    with written_whole(folder / "harness.md") as partial:
        partial.write_text(page(study.study, dataset, found), encoding="utf-8")
    return folder / "harness.md"


def page(study: str, dataset: str, found: Found) -> str:
    """The text of `harness.md`."""
    counts = {
        int(figures["n"])
        for levels in found.values()
        for metrics in levels.values()
        if isinstance(metrics, dict)
        for figures in metrics.values()
    }
    n = max(counts, default=0)
    about = ABOUT.format(dataset=dataset, n=n, step=100 / n if n else 0)
    tasks = {
        metric: None
        for levels in found.values()
        for metrics in levels.values()
        if isinstance(metrics, dict)
        for metric in metrics
    }
    sections = [f"## {title_of(metric).capitalize()}\n\n{table(metric, found)}" for metric in tasks]
    without = [
        f"- `{model}`, {', '.join(levels)}: {reason}"
        for model, all_levels in found.items()
        for reason, levels in _by_reason(all_levels).items()
    ]
    if without:
        sections.append("## Not measured\n\n" + "\n".join(without))
    return "\n\n".join([f"# Study `{study}`: the harness or the quantization?", about, *sections]) + "\n"


def table(metric: str, found: Found) -> str:
    """One row per model and level that has the metric."""
    rows: list[Row] = []
    for model, levels in found.items():
        reference = _figures(levels, FLOAT32, metric)
        for level in levels:
            own = _figures(levels, level, metric)
            if own is None:
                continue
            lost = change(metric, own["proper"], reference["proper"]) if reference else MISSING
            ways = [shown(metric, own[way]) for way in WAYS]
            rows.append(
                [model, level, str(own["n"]), *ways, lost, change(metric, own["swapped"], own["proper"])]
            )
    return Table(HEADER, rows, text_columns=2).markdown()


def _figures(levels: Mapping[str, dict[str, Figures] | str], level: str, metric: str) -> Figures | None:
    metrics = levels.get(level)
    return metrics.get(metric) if isinstance(metrics, dict) else None


def _by_reason(levels: Mapping[str, dict[str, Figures] | str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for level, found in levels.items():
        if isinstance(found, str):
            reasons.setdefault(found, []).append(level)
    return reasons


def _measured(root: Path, dataset: str, model: str, level: str) -> dict[str, Figures] | str:
    """Metric -> figures of one variant, or why it has none."""
    folder = root / "variants" / model / level
    card = read_card(folder, VariantCard)
    if card.status != "ok":
        return f"{card.status}: {card.reason}"
    proper = _predictions(root / "evaluation" / model / level / "predictions.parquet")
    proper = proper[proper["dataset"] == dataset].reset_index(drop=True)
    if proper.empty:
        return f"not evaluated on {dataset}"
    variant = open_variant(folder)
    pictures = _pictures(dataset, root / "data/raw" / dataset / "files.zip", tuple(proper["image"]))
    answered = [name for name in proper.columns if "_pred" in str(name) or "_prob_" in str(name)]
    labels = proper.drop(columns=answered)
    tables = {"proper": proper}
    for way, swapped in (("squeezed", False), ("swapped", True)):
        seen = squeezed.answers(variant, pictures, swapped)
        tables[way] = pd.concat([labels, seen], axis=1)
    measured = {way: measure(table) for way, table in tables.items()}
    return {
        metric: {way: measured[way].values[metric] for way in WAYS} | {"n": measured["proper"].counts[metric]}
        for metric in measured["proper"].values
        if metric.endswith("_accuracy") and not metric.endswith("_balanced_accuracy")
    }


@functools.lru_cache(maxsize=1)
def _pictures(dataset: str, archive: Path, images: tuple[str, ...]) -> list[np.ndarray]:
    """Decoded once for all variants."""
    return squeezed.read(dataset, archive, images)


def _predictions(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise PocketfaceError(f"{path}: not readable ({error}); make it with `dvc repro evaluate`") from None
