"""How the numbers of a study are named and printed.

A metric is named `DATASET.METRIC` (`utkface.age_mae`, `photos.gender_accuracy`). Definitions are in
`pocketface.metrics.registry`.
"""

import re

from pocketface.metrics.measures import POSITIVE
from pocketface.metrics.registry import Quantity, metric_of, name_of, task_of

MISSING = "\N{EN DASH}"
"""Printed where there is no value."""
SAME = "±0"
"""Printed for a change that rounds to nothing."""

LONGEST = 90
"""Letters of a reason in a table; all of it stands in the variant's card."""


def quantity_of(metric: str) -> Quantity:
    """The quantity behind a name; an unknown one is a plain number that should not change."""
    return metric_of(metric) or Quantity("", "", "same", digits=4)


def title_of(metric: str) -> str:
    """A metric in words: `age_mae` is `age MAE`, `No_Beard_f1`, which is of beards, `No Beard (no) F1`."""
    label = quantity_of(metric).label or metric.rpartition(".")[2].replace("_", " ")
    task, one_class = task_of(metric), name_of(metric) in ("f1", "auc", "average_precision")
    of = f" ({POSITIVE[task]})" if one_class and task in POSITIVE else ""
    return f"{task.replace('_', ' ')}{of} {label}".strip()


def label_of(metric: str) -> str:
    """A metric in words with its unit, for an axis or a column."""
    unit = quantity_of(metric).unit
    return f"{title_of(metric)} ({'%' if unit == 'share' else unit})" if unit else title_of(metric)


def shown(metric: str, value: float | None) -> str:
    """A value as printed, without its unit: shares in percent; an en dash where there is none."""
    if value is None:
        return MISSING
    quantity = quantity_of(metric)
    return f"{quantity.scale * value:.{quantity.digits}f}".replace("-", "\N{MINUS SIGN}")


def change(metric: str, value: float | None, reference: float | None) -> str:
    """The signed change from `reference` to `value`, as printed; shares in percentage points.

    A change that rounds to nothing is `±0`.
    """
    if value is None or reference is None:
        return MISSING
    quantity = quantity_of(metric)
    text = f"{quantity.scale * (value - reference):+.{quantity.digits}f}"
    return SAME if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def spread(metric: str, low: float, high: float, signed: bool = False) -> str:
    """An interval as printed, without its unit: `6.18 to 6.63`; `signed`, of a change: `+0.48 to +0.77`."""
    quantity = quantity_of(metric)
    ends = (f"{quantity.scale * end:{'+' if signed else ''}.{quantity.digits}f}" for end in (low, high))
    return " to ".join("0" if float(end) == 0 else end.replace("-", "\N{MINUS SIGN}") for end in ends)


def loss(metric: str, value: float, reference: float = 0.0) -> float:
    """How much worse a value is than another, or a change makes it, in its own unit; negative for a gain."""
    return quantity_of(metric).loss(value, reference)


def size(size_bytes: float | None) -> str:
    """A file size for people: kB below a million bytes, else MB (powers of ten)."""
    if size_bytes is None:
        return MISSING
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.2f} MB"


def short(reason: str) -> str:
    """A reason as a reader wants it: its first sentence, without names of C++ files and tensors."""
    text = re.sub(r"\S*\.(?:cc|h|cpp):\d+:?\s*|\([^()]*(?:/|::)[^()]*\)", "", " ".join(reason.split()))
    text = re.sub(r"\btensor \S*/\S*", "a tensor", text)
    text = re.split(r"(?<=[a-z0-9)])[.;] ", text, maxsplit=1)[0].strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
