"""Labels as training targets, with a weight of zero where a label is missing."""

from collections import Counter

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import AGE_BANDS, BAND_STARTS, TRAINING_OUTPUTS, meaning, words
from pocketface.layers.heads import OLDEST

BAND_YEARS = np.array([BAND_STARTS, [*(start - 1 for start in BAND_STARTS[1:]), OLDEST]], np.float32).T
"""First and last year of each of `AGE_BANDS`, `[bands, 2]`."""


def targets(rows: pd.DataFrame, heads: list[str], dataset: str) -> tuple[dict, dict]:
    """What the heads should answer for `rows` of a face index.

    Args:
        rows: N rows with label columns.
        heads: the model's heads, and its training-only outputs, which learn from `age`, or from `age_band`
            where a face has that alone.
        dataset: its name, for the message.

    Returns:
        Output -> float32 `[N, 1]` (a number) or one-hot `[N, classes]`; of a training-only one where some
        face has a band alone, intervals `[N, 2]`, see `pocketface.training.losses`. And output -> weight
        `[N]`, 1 where labelled, else 0.

    Raises:
        PocketfaceError: there is nothing at all in these rows that a head learns from.
    """
    y, weight = {}, {}
    labelled: Counter[str] = Counter()
    for output in heads:
        if output in TRAINING_OUTPUTS:
            y[output], known = _intervals(rows)
        else:
            labels = _column(rows, output)
            y[output], known = _target(labels, output), labels.notna().to_numpy()
        weight[output] = known.astype(np.float32)
        labelled[TRAINING_OUTPUTS.get(output, output)] += int(known.sum())
    for head, faces in labelled.items():
        if not faces:
            banded = head == "age" and _column(rows, "age_band").notna().any()
            remedy = "learn from its age bands with `options: {age: expected}`, " if banded else ""
            raise PocketfaceError(
                f"dataset {dataset} has no label {head!r}, which a head needs; {remedy}"
                f"take the head out of the model or choose another dataset in params.yaml"
            )
    return y, weight


def balance(y: np.ndarray, weight: np.ndarray, head: str) -> np.ndarray:
    """Weights `[N]` under which the classes of a head count the same, and all faces together as before.

    `y` is one-hot `[N, classes]`, `weight` `[N]`. A head that answers a number is a `PocketfaceError`.
    """
    if not meaning(head).labels:
        raise PocketfaceError(f"training.balanced: {head} is a number, it has no classes to balance")
    counts = weight @ y
    present = counts > 0
    shares = np.divide(weight.sum(), present.sum() * counts, out=np.zeros_like(counts), where=present)
    return (weight * (y @ shares)).astype(np.float32)


def _column(rows: pd.DataFrame, label: str) -> pd.Series:
    return rows.get(label, pd.Series(np.nan, rows.index))


def _intervals(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Years `[N, 1]` or intervals `[N, 2]`, and which faces `[N]` have any."""
    age = _column(rows, "age")
    years = _target(age, "age")
    band = pd.Categorical(_column(rows, "age_band"), categories=AGE_BANDS).codes
    banded = age.isna().to_numpy() & (band >= 0)
    if banded.any():
        years = np.where(banded[:, None], BAND_YEARS[band], years)
    return years, age.notna().to_numpy() | banded


def _target(column: pd.Series, head: str) -> np.ndarray:
    labels = meaning(head).labels
    if not labels:
        return column.fillna(0).to_numpy(np.float32)[:, None]
    codes = pd.Categorical(words(column), categories=labels).codes
    return (codes[:, None] == np.arange(len(labels))).astype(np.float32)
