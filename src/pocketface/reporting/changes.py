"""Every variant against its float32 sibling on the same faces: what a level costs.

found = compare(results, all_predictions(results))
found["age_gender", "int8", "utkface"].changes["gender_accuracy"].verdict      # 'cannot tell'
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.confidence import Change, Interval, Sample, paired, resample_groups
from pocketface.evaluation.groups import members
from pocketface.metrics.settings import Margins
from pocketface.reporting.results import FLOAT32, Predictions, Results, Variant

Group = tuple[str, str]
"""A grouping and a group, e.g. `race`, `black`."""


BEARABLE = {unit: getattr(Margins(), unit) for unit in ("years", "share")}
"""Unit -> the change that is none."""


@dataclass(frozen=True)
class Compared:
    """A variant on one dataset.

    Attributes:
        intervals: metric -> its 95% interval.
        changes: metric -> change against float32; none for float32 itself, or where that is missing.
        group_intervals, group_changes: the same per group of faces, for the model's main figures.
    """

    intervals: Mapping[str, Interval]
    changes: Mapping[str, Change] = field(default_factory=dict)
    group_intervals: Mapping[Group, Mapping[str, Interval]] = field(default_factory=dict)
    group_changes: Mapping[Group, Mapping[str, Change]] = field(default_factory=dict)


Compareds = Mapping[tuple[str, str, str], Compared]
"""(model, level, dataset) -> comparison, for every variant that runs."""


def compare(results: Results, predictions: Predictions) -> dict[tuple[str, str, str], Compared]:
    """Compares every variant that runs with float32, on every dataset.

    Raises:
        PocketfaceError: two levels answered different faces.
    """
    found = {}
    for model in results.study.models:
        reference = results.float32(model)
        baseline = _samples(results, reference, predictions) if reference else {}
        for variant in results.running(model):
            own = baseline if variant is reference else _samples(results, variant, predictions)
            for dataset, sample in own.items():
                other = baseline.get(dataset) if variant is not reference else None
                found[model, variant.level, dataset] = _compared(variant, dataset, sample, other)
    return found


def change_of(found: Compareds, variant: Variant, figure: str) -> Change | None:
    """The change of `DATASET.METRIC` against float32."""
    dataset, _, metric = figure.partition(".")
    compared = found.get((variant.model, variant.level, dataset))
    return compared.changes.get(metric) if compared else None


def verdict(figure: str, change: Change) -> str:
    """One of the four, see `pocketface.evaluation.confidence`."""
    return change.verdict


def tone(figure: str, change: Change | None) -> str:
    """`worse` or `better`, else `noise`; nothing where there is no change to judge."""
    if change is None:
        return ""
    return change.verdict if change.verdict in ("worse", "better") else "noise"


def matters(figure: str, change: Change | None) -> bool:
    """Whether a change is a loss."""
    return tone(figure, change) == "worse"


@dataclass(frozen=True)
class Effect:
    """A level's change of a figure against float32, with its interval, and `worse`, `better` or `noise`."""

    level: str
    change: float
    low: float
    high: float
    tone: str
    note: str = ""


Effects = Mapping[tuple[str, str], Sequence[Effect]]
"""(model, main figure) -> the changes that its levels make."""


def effects(results: Results, found: Compareds) -> dict[tuple[str, str], list[Effect]]:
    """The change that every level makes; noted is the size of its file, in float32's."""
    table: dict[tuple[str, str], list[Effect]] = {}
    for variant in results.running():
        for figure in results.main_figures(variant.model):
            one = change_of(found, variant, figure)
            if one is not None:
                note = f"{variant.card.size_ratio:.2f}x" if variant.card.size_ratio else ""
                effect = Effect(variant.level, one.change, one.low, one.high, tone(figure, one), note)
                table.setdefault((variant.model, figure), []).append(effect)
    return table


def content(found: Compareds) -> dict[str, Any]:
    """What goes into `changes.json`: model -> level -> `DATASET.METRIC` -> change, interval, verdict."""
    table: dict[str, Any] = {}
    for (model, level, dataset), compared in found.items():
        for metric, change in compared.changes.items():
            table.setdefault(model, {}).setdefault(level, {})[f"{dataset}.{metric}"] = {
                "change": change.change,
                "interval": [change.low, change.high],
                "p_value": change.p,
                "verdict": verdict(f"{dataset}.{metric}", change),
            }
    return table


_Samples = dict[str, tuple[pd.Series, Sample, dict[Group, Sample]]]
"""Dataset -> names of the faces, their sample, those of the groups."""


def _samples(results: Results, variant: Variant, predictions: Predictions) -> _Samples:
    main: dict[str, list[str]] = {}
    for figure in results.main_figures(variant.model):
        dataset, _, metric = figure.partition(".")
        main.setdefault(dataset, []).append(metric)
    found = {}
    for name, rows in predictions[variant.model, variant.level].groupby("dataset"):
        table = rows.dropna(axis=1, how="all").reset_index(drop=True)
        metrics = main.get(str(name), [])
        groups = members(table) if metrics else {}
        found[str(name)] = (table["image"], *resample_groups(table, groups, metrics))
    return found


def _compared(variant: Variant, dataset: str, own: Any, other: Any) -> Compared:
    faces, sample, groups = own
    group_intervals = {group: part.intervals for group, part in groups.items()}
    if other is None:
        return Compared(sample.intervals, group_intervals=group_intervals)
    their_faces, their_sample, their_groups = other
    if not faces.equals(their_faces):
        raise PocketfaceError(
            f"{variant.predictions}: other faces of {dataset} than {FLOAT32} answered; "
            f"make both with `dvc repro evaluate@{variant.model}-{variant.level}`"
        )
    return Compared(
        sample.intervals,
        paired(sample, their_sample),
        group_intervals,
        {group: paired(part, their_groups[group]) for group, part in groups.items()},
    )
