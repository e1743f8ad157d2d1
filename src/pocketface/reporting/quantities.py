"""What the figures of a study mean: their name in words, unit, better direction and allowed change.

A figure is named `DATASET.METRIC` (`utkface.age_mae`, `photos.gender_accuracy`) or is a property of the
variant's file (`size_bytes`). The metric's ending decides its quantity, so a new task needs no new entry.
"""

from dataclasses import dataclass
from typing import Literal

MISSING = "\N{EN DASH}"
"""Printed where there is no figure."""
SAME = "±0"
"""Printed for a change that rounds to nothing."""


@dataclass(frozen=True)
class Quantity:
    """A kind of figure.

    Attributes:
        title: takes the place of the metric's ending.
        unit: what is printed behind a number; `%` is a share and is kept as 0..1.
        better: which way is better; `same` where any change is a finding.
        tolerance: the change that `check` allows by default, in the figure's own unit; with `relative`,
            a share of the earlier value.
        digits: after the decimal point, as printed.
    """

    title: str
    unit: str
    better: Literal["higher", "lower", "same"]
    tolerance: float
    relative: bool = False
    digits: int = 1


QUANTITIES = {
    "mae": Quantity("MAE", "years", "lower", tolerance=0.15, digits=2),
    "cs5": Quantity("CS@5", "%", "higher", tolerance=0.01),
    "accuracy": Quantity("accuracy", "%", "higher", tolerance=0.01),
    "f1": Quantity("F1", "%", "higher", tolerance=0.01),
    "ece": Quantity("calibration error", "%", "lower", tolerance=0.02),
    "n": Quantity("faces", "", "same", tolerance=0, digits=0),
    "size_bytes": Quantity("size", "bytes", "lower", tolerance=0.05, relative=True, digits=0),
}


def kind_of(figure: str) -> str | None:
    """The key in `QUANTITIES` of a figure or metric, or None: `utkface.age_mae` is a `mae`."""
    metric = figure.rpartition(".")[2]
    if metric in QUANTITIES:
        return metric
    ending = metric.rpartition("_")[2]
    return ending if ending in QUANTITIES else None


def quantity_of(figure: str) -> Quantity:
    """The quantity of a figure; one that is unknown is a plain number that should not change."""
    kind = kind_of(figure)
    return QUANTITIES[kind] if kind else Quantity("", "", "same", tolerance=0, digits=4)


def task_of(metric: str) -> str:
    """The task that a metric measures: `age` of `age_mae`, `age_group` of `age_group_accuracy`."""
    return metric.rpartition(".")[2].rpartition("_")[0]


def title_of(metric: str) -> str:
    """A metric in words: `age_mae` is `age MAE`."""
    name = metric.rpartition(".")[2]
    if kind_of(name) is None:
        return name.replace("_", " ")
    task = task_of(name) if name not in QUANTITIES else ""
    return f"{task.replace('_', ' ')} {quantity_of(name).title}".strip()


def label_of(metric: str) -> str:
    """A metric in words with its unit, for an axis or a column."""
    unit = quantity_of(metric).unit
    return f"{title_of(metric)} ({unit})" if unit else title_of(metric)


def shown(figure: str, value: float | None) -> str:
    """A figure as printed, without its unit: shares in percent; an en dash where there is none."""
    if value is None:
        return MISSING
    quantity = quantity_of(figure)
    return f"{_scaled(quantity, value):.{quantity.digits}f}"


def change(figure: str, value: float | None, reference: float | None) -> str:
    """The signed change from `reference` to `value`, as printed; shares in percentage points.

    A change that rounds to nothing is `±0`.
    """
    if value is None or reference is None:
        return MISSING
    quantity = quantity_of(figure)
    text = f"{_scaled(quantity, value - reference):+.{quantity.digits}f}"
    return SAME if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def spread(figure: str, low: float, high: float, signed: bool = False) -> str:
    """An interval as printed, without its unit: `6.18 to 6.63`; `signed`, of a change: `+0.48 to +0.77`."""
    quantity = quantity_of(figure)
    ends = (f"{_scaled(quantity, end):{'+' if signed else ''}.{quantity.digits}f}" for end in (low, high))
    return " to ".join("0" if float(end) == 0 else end.replace("-", "\N{MINUS SIGN}") for end in ends)


def loss(figure: str, change: float) -> float:
    """How much worse a change makes a figure, in the figure's own unit; negative for a gain."""
    return -change if quantity_of(figure).better == "higher" else change


def _scaled(quantity: Quantity, value: float) -> float:
    return 100 * value if quantity.unit == "%" else value


def size(size_bytes: int | None) -> str:
    """A file size for people: kB below a million bytes, else MB (powers of ten)."""
    if size_bytes is None:
        return MISSING
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.2f} MB"
