"""How sure a figure is, and whether a change of it is more than chance.

    sample = resample(table)
    sample.values["age_mae"], sample.interval("age_mae")      # 6.39, (6.21, 6.58)
    change = paired(sample_int8, sample_float32)["gender_accuracy"]
    change.change, change.low, change.high, change.verdict    # -0.002, -0.006, 0.002, 'noise'

Intervals are percentile bootstrap intervals of 95% (Efron 1979): the faces of a table are drawn again, with
replacement, `RESAMPLES` times, and every metric is taken of every draw. Which faces a draw holds depends on
the number of faces alone, so two variants that answered the same faces are drawn alike, and the difference of
their draws is a *paired* bootstrap: what both variants find hard cancels out.

Of metrics that are a share of right answers, the verdict is that of McNemar's exact test: of the faces that
only one of the two variants answers right, could so many be the one's, were both equally good? Of all others,
whether the interval of the change contains zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from pocketface.core.errors import PocketfaceError
from pocketface.metrics.measures import Tally, comparisons, score, tallies

RESAMPLES = 1000
SEED = 95
COVERED = 0.95
"""Probability that an interval means to cover; a p-value below 1 - COVERED is not called noise."""

AT_ONCE = 4_000_000
"""Draws of single faces that are held in memory at once."""

Interval = tuple[float, float]
Verdict = Literal["noise", "real"]


@dataclass(frozen=True)
class Sample:
    """The metrics of some faces, and of draws from them.

    Attributes:
        values: metric -> value.
        draws: metric -> its values `[RESAMPLES]`; not a number where a draw has no such face.
        hits: metric that is a share of right answers -> which of the faces are answered right.
        n: number of faces.
    """

    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    hits: Mapping[str, np.ndarray]
    n: int

    def interval(self, metric: str) -> Interval:
        """The 95% interval of a metric."""
        return _middle(self.draws[metric])

    @property
    def intervals(self) -> dict[str, Interval]:
        """Metric -> its 95% interval."""
        return {metric: self.interval(metric) for metric in self.values}


@dataclass(frozen=True)
class Change:
    """A metric of one variant less that of another, on the same faces.

    Attributes:
        change: in the metric's own unit.
        low, high: its 95% interval.
        p_value: of McNemar's exact test, where the metric is a share of right answers.
    """

    change: float
    low: float
    high: float
    p_value: float | None = None

    @property
    def verdict(self) -> Verdict:
        """`noise` where chance alone would often make such a change, else `real`."""
        if self.p_value is not None:
            return "real" if self.p_value < 1 - COVERED else "noise"
        return "noise" if self.low <= 0 <= self.high else "real"


def intervals(parts: Sequence[Tally], n: int) -> dict[str, Interval]:
    """Metric -> its 95% interval, over `n` faces."""
    return _sample(parts, n, draws(n, [part.faces for part in parts]), None).intervals


def resample(table: pd.DataFrame) -> Sample:
    """The metrics of a table, see `pocketface.metrics.measures`, and of draws from it."""
    return resample_groups(table, {})[0]


def resample_groups(
    table: pd.DataFrame, groups: Mapping[tuple[str, str], np.ndarray], metrics: Sequence[str] | None = None
) -> tuple[Sample, dict[tuple[str, str], Sample]]:
    """The same for a whole table, and for groups of its faces.

    A draw is one of all faces, so the size of a group varies from draw to draw, as it would from one data
    set to another.

    Args:
        table: labels and answers.
        groups: name -> which faces `[N]` are in it.
        metrics: of the groups, only these are measured; by default all.
    """
    parts = tallies(comparisons(table))
    wanted = parts if metrics is None else [part for part in _only(parts, metrics) if part.metrics]
    blocks = [part.faces for part in parts]
    for inside in groups.values():
        blocks += [part.faces * inside[:, None] for part in wanted]
    drawn = draws(len(table), blocks)
    whole = _sample(parts, len(table), drawn[: len(parts)], None)
    of_groups = {}
    for i, (name, inside) in enumerate(groups.items()):
        start = len(parts) + i * len(wanted)
        of_groups[name] = _sample(wanted, int(inside.sum()), drawn[start : start + len(wanted)], inside)
    return whole, of_groups


def paired(one: Sample, other: Sample) -> dict[str, Change]:
    """Metric -> `one` less `other`; both answered the same faces.

    Raises:
        PocketfaceError: they did not.
    """
    if one.n != other.n or any(
        len(one.hits[metric]) != len(other.hits[metric]) for metric in one.hits.keys() & other.hits.keys()
    ):
        raise PocketfaceError(f"a paired comparison needs the same faces, not {one.n} and {other.n}")
    changes = {}
    for metric in one.values:
        if metric in other.values:
            low, high = _middle(one.draws[metric] - other.draws[metric])
            p_value = mcnemar(one.hits[metric], other.hits[metric]) if metric in one.hits else None
            changes[metric] = Change(one.values[metric] - other.values[metric], low, high, p_value)
    return changes


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """The p-value of McNemar's exact test (1947): are two variants right on equally many faces?

    Args:
        one, other: which faces `[N]` each answers right.
    """
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(binomtest(only_one, only_one + only_other, 0.5).pvalue)


def draws(n: int, blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Sums over drawn faces: of each block `[n, F]`, `[RESAMPLES, F]`."""
    if not blocks or n == 0:
        return [np.zeros((RESAMPLES, block.shape[1])) for block in blocks]
    terms, rows = np.concatenate(blocks, axis=1), _rows(n)
    drawn = _times_drawn(n)
    sums = [drawn[start : start + rows].astype(float) @ terms for start in range(0, RESAMPLES, rows)]
    ends = np.cumsum([block.shape[1] for block in blocks])
    return np.split(np.concatenate(sums), ends[:-1], axis=1)


def _rows(n: int) -> int:
    """How many draws of `n` faces are held in memory at once."""
    return max(1, AT_ONCE // n)


@lru_cache(maxsize=4)  # all variants of a study answered the same few sets of faces
def _times_drawn(n: int) -> np.ndarray:
    """How often each of `n` faces is in each draw of `n`: uint8 `[RESAMPLES, n]`."""
    random, times = np.random.default_rng(SEED), []
    for start in range(0, RESAMPLES, _rows(n)):
        rows = min(_rows(n), RESAMPLES - start)
        faces = random.integers(n, size=(rows, n), dtype=np.int32) + np.arange(rows)[:, None] * n
        times.append(np.bincount(faces.ravel(), minlength=rows * n).reshape(rows, n).astype(np.uint8))
    return np.concatenate(times)


def _only(parts: Sequence[Tally], metrics: Sequence[str]) -> list[Tally]:
    return [
        replace(part, metrics={name: of for name, of in part.metrics.items() if name in metrics})
        for part in parts
    ]


def _sample(parts: Sequence[Tally], n: int, drawn: Sequence[np.ndarray], inside: np.ndarray | None) -> Sample:
    values = score(parts, inside).values
    of_draws = {
        name: of_sums(sums)
        for part, sums in zip(parts, drawn, strict=True)
        for name, of_sums in part.metrics.items()
        if name in values
    }
    hits = {
        name: right[part.known if inside is None else part.known & inside]
        for part in parts
        for name, right in part.hits.items()
        if name in values
    }
    return Sample(values, of_draws, hits, n)


def _middle(values: np.ndarray) -> Interval:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)
