"""Every metric: a named class with its unit, its better direction, and how it is computed.

    metric_of("utkface.gender_macro_f1")        # METRICS["macro_f1"]

A metric is named `DATASET.TASK_METRIC` (`utkface.age_mae`, `photos.gender_accuracy`). Every face adds a row
of terms, these are summed, and the metric is a function of the sums: one definition serves all faces, groups
of them, resamples and permutations. What a face adds depends on the metric's family:

| family | terms `[F]` of a face |
|---|---|
| `errors` | absolute error, signed error, whether at most 5 whole years off, 1 |
| `cells` | its cell of the confusion matrix `[K*K]`, truth by answer; the positive class is last |
| `bins` | per bin of confidence: confidence less right answer, the square of that, 1 |
| `ranks` | a positive face: precision down to it, share of negatives below it, 1; these depend on all faces |
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pocketface.core.labels import CELEBA_ATTRIBUTES
from pocketface.metrics.settings import Margins

BINS = 15
"""Of equal width, of the confidence, for `ece`."""

FEWEST_CALIBRATED = 200
"""Faces; below, a calibration error says more of the sample than of the model."""

Compute = Callable[[np.ndarray], np.ndarray]
"""From sums `[..., F]` to a metric `[...]`; not a number where it is 0/0."""

Unit = Literal["years", "share", ""]
Better = Literal["higher", "lower", "zero", "same"]


@dataclass(frozen=True)
class Quantity:
    """What a number means and how it is printed.

    Attributes:
        label: for people; it takes the place of the metric's name.
        unit: a share is kept as 0..1 and printed in percent.
        better: `zero` is nearer to zero; `same` where any change is a finding.
        digits: after the decimal point, as printed.
    """

    label: str
    unit: Unit
    better: Better
    digits: int = 1

    @property
    def scale(self) -> float:
        """What a value is multiplied by to be printed."""
        return 100.0 if self.unit == "share" else 1.0

    @property
    def change_unit(self) -> str:
        """The unit of a change, as printed: points of a share."""
        return "points" if self.unit == "share" else self.unit

    @property
    def most(self) -> float:
        """The largest change there can be, in the unit."""
        return 1.0 if self.unit == "share" else np.inf

    def margin(self, margins: Margins) -> float:
        """The largest change that is none, in the unit; 0 of a unit without a margin."""
        return float(getattr(margins, self.unit, 0.0))

    def loss(self, value: float, reference: float = 0.0) -> float:
        """How much worse `value` is than `reference`; negative for a gain."""
        if self.better == "zero":
            return abs(value) - abs(reference)
        return reference - value if self.better == "higher" else value - reference


@dataclass(frozen=True)
class Metric(Quantity):
    """A quantity that is computed from labels and answers.

    Attributes:
        family: what every face adds.
        compute: from the sums of it.
        drawn: the same from the sums of a bootstrap draw, where that needs another correction of bias.
        tasks: only of these; None is all tasks of the family.
    """

    family: Literal["errors", "cells", "bins", "ranks"] = field(kw_only=True)
    compute: Compute = field(kw_only=True)
    drawn: Compute | None = None
    tasks: tuple[str, ...] | None = None

    def measures(self, family: str, task: str) -> bool:
        """Whether this metric is taken of a task."""
        return family == self.family and (self.tasks is None or task in self.tasks)


def metric_of(full_name: str) -> Metric | None:
    """The metric of a name, or None: `utkface.gender_macro_f1` is a `macro_f1`."""
    name = name_of(full_name)
    return METRICS[name] if name else None


def name_of(full_name: str) -> str | None:
    """The key in `METRICS` of a name; the longest that fits."""
    words = full_name.rpartition(".")[2].split("_")
    ends = ("_".join(words[start:]) for start in range(len(words)))
    return next((end for end in ends if end in METRICS), None)


def task_of(full_name: str) -> str:
    """The task that a metric measures: `age_group` of `photos.age_group_accuracy`; else an empty text."""
    metric, name = full_name.rpartition(".")[2], name_of(full_name)
    return metric.removesuffix(name or "").rstrip("_") if name else ""


def _mean(column: int) -> Compute:
    return lambda sums: divided(sums[..., column], sums[..., -1])


def matrix(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of cells `[..., K*K]`: right answers, truths and answers per class, each `[..., K]`."""
    classes = round(sums.shape[-1] ** 0.5)
    cells = sums.reshape(*sums.shape[:-1], classes, classes)
    return np.diagonal(cells, axis1=-2, axis2=-1), cells.sum(-1), cells.sum(-2)


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient; not a number where it is 0/0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above) / np.asarray(below)


def _accuracy(sums: np.ndarray) -> np.ndarray:
    right, truths, _ = matrix(sums)
    return divided(right.sum(-1), truths.sum(-1))


def _balanced(sums: np.ndarray) -> np.ndarray:
    right, truths, _ = matrix(sums)
    return _mean_over(truths > 0, divided(right, truths))


def _f1(sums: np.ndarray) -> np.ndarray:
    """Per class; not a number for a class that no face is of."""
    right, truths, answers = matrix(sums)
    return divided(np.where(truths > 0, 2 * right, np.nan), truths + answers)


def _macro_f1(sums: np.ndarray) -> np.ndarray:
    return _mean_over(matrix(sums)[1] > 0, _f1(sums))


def _weighted_f1(sums: np.ndarray) -> np.ndarray:
    truths = matrix(sums)[1]
    return divided(np.where(truths > 0, truths * _f1(sums), 0).sum(-1), truths.sum(-1))


def _mean_over(which: np.ndarray, values: np.ndarray) -> np.ndarray:
    return divided(np.where(which, values, 0).sum(-1), which.sum(-1))


def squared_calibration(sums: np.ndarray, corrections: int) -> np.ndarray:
    """Mean square over the faces of their bin's gap between confidence and share of right answers.

    The squared gap of a bin of n faces is too large by the variance of a mean of n, which is subtracted
    (Kumar, Liang and Ma 2019, arXiv:1909.10155, section 5); of a draw twice, as drawing adds as much again.
    """
    gap, square, faces = (sums[..., start::3] for start in range(3))
    variance = divided(square - divided(gap**2, faces), faces * (faces - 1))
    squared = np.where(faces > 1, divided(gap, faces) ** 2 - corrections * variance, 0)
    return divided((faces * squared).sum(-1), faces.sum(-1))


def _calibration(corrections: int) -> Compute:
    def compute(sums: np.ndarray) -> np.ndarray:
        error = np.sqrt(np.maximum(squared_calibration(sums, corrections), 0))
        return np.where(sums[..., 2::3].sum(-1) >= FEWEST_CALIBRATED, error, np.nan)

    return compute


_MEANS = ("gender", "expression")
_WEIGHTED = (*_MEANS, *CELEBA_ATTRIBUTES)


def _cells(label: str, compute: Compute, tasks: tuple[str, ...] | None = None) -> Metric:
    return Metric(label, "share", "higher", family="cells", compute=compute, tasks=tasks)


def _errors(label: str, unit: Unit, better: Better, column: int) -> Metric:
    digits = 2 if unit == "years" else 1
    return Metric(label, unit, better, digits, family="errors", compute=_mean(column))


def _ranks(label: str, column: int) -> Metric:
    return Metric(label, "share", "higher", family="ranks", compute=_mean(column))


METRICS: dict[str, Metric] = {
    "mae": _errors("MAE", "years", "lower", 0),
    "bias": _errors("signed error", "years", "zero", 1),
    "cs5": _errors("CS@5", "share", "higher", 2),
    "accuracy": _cells("accuracy", _accuracy),
    "balanced_accuracy": _cells("balanced accuracy", _balanced),
    "macro_f1": _cells("macro F1", _macro_f1, _MEANS),
    "weighted_f1": _cells("weighted F1", _weighted_f1, _WEIGHTED),
    "f1": _cells("F1", lambda sums: _f1(sums)[..., -1], CELEBA_ATTRIBUTES),
    "auc": _ranks("AUC", 1),
    "average_precision": _ranks("average precision", 0),
    "ece": Metric(
        *("calibration error", "share", "lower"),
        family="bins",
        compute=_calibration(1),
        drawn=_calibration(2),
    ),
}
"""The ending of a metric's name -> the metric; a new one is an entry here."""


def of_task(family: str, task: str) -> dict[str, Metric]:
    """Full name -> metric, of a task's family."""
    return {f"{task}_{name}": one for name, one in METRICS.items() if one.measures(family, task)}
