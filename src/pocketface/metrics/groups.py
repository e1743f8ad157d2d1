"""The same metrics per group of people, because a good average may hide whom a model fails.

Groups are by labels: gender, race, age band, gender and race within age bands, and any other label column
that is asked for. A face without the label is in none of its groups. Groups differ in age, on which
metrics depend: rates that are standardised by age weigh the faces of every group so that its age bands have
the shares that they have in the whole set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from pocketface.core.labels import AGE_BANDS, CLASSES, age_band, words
from pocketface.metrics.confidence import LEVEL, Sample, blocks_of_draws, people_of
from pocketface.metrics.measures import Tally, comparisons, score, tallies, with_ages_in
from pocketface.metrics.naming import loss, quantity_of
from pocketface.metrics.registry import divided

CROSSED = " x "
"""Between the two labels of a grouping by both."""

AGES = ("age_band", "age_group")
"""Groupings by age, which are not standardised by it."""
GROUPINGS = {label: CLASSES[label] for label in ("gender", "race", *AGES)} | {
    f"{label}{CROSSED}age_band": tuple(map(", ".join, product(CLASSES[label], AGE_BANDS)))
    for label in ("gender", "race")
}
"""Grouping -> its groups, in order; a race of another word is a group after these. Ages make bands where
no band is given, but no coarse age groups."""

FEWEST = 30
"""Faces of a group by two labels, and of one that is compared with others."""
FEWEST_IN_BAND = 5
"""Faces that every group has in an age band that rates are standardised over."""

Groups = dict[str, dict[str, dict[str, float]]]


def by_group(table: pd.DataFrame, further: pd.DataFrame | None = None) -> Groups:
    """Grouping -> group -> `n` and metrics; only groups that somebody is in, by two labels `FEWEST`.
    `further`: groupings besides, a column of words each, null where unknown; the same faces.
    """
    parts = tallies(comparisons(table))
    groups: Groups = {}
    for (grouping, group), inside in members(table, further).items():
        found = {"n": int(inside.sum()), **score(parts, inside).values}
        groups.setdefault(grouping, {})[group] = found
    return groups


def members(
    table: pd.DataFrame, further: pd.DataFrame | None = None, by: Sequence[str] = ()
) -> dict[tuple[str, str], np.ndarray]:
    """(grouping, group) -> which faces `[N]` are in it; only groups that `by_group` tells of, `by` further
    label columns of the table, too, e.g. `expression` or `Eyeglasses`.
    """
    columns = {name: table.get(name) for name in GROUPINGS if CROSSED not in name}
    columns["age_band"] = with_ages_in(table, "age_band", age_band)
    columns |= {n: words(table[n]).astype(object).map(str, na_action="ignore") for n in by if n in table}
    if further is not None:
        columns |= {str(name): column for name, column in further.items()}
    bands = columns["age_band"]
    for name in GROUPINGS:
        label = columns.get(name.partition(CROSSED)[0])
        if CROSSED in name and label is not None and bands is not None:
            columns[name] = (label.astype(object) + ", " + bands).where(label.notna() & bands.notna())
    return {
        (grouping, group): inside
        for grouping, labels in columns.items()
        if labels is not None
        for group, inside in _members(labels, GROUPINGS.get(grouping, ()))
        if inside.sum() >= (FEWEST if CROSSED in grouping else 1)
    }


@dataclass(frozen=True)
class Gap:
    """How far the groups of a grouping are apart in a metric, best to worst.

    Attributes:
        value: in the metric's unit.
        low, high: its 95% interval, from 0 up: as wide as the largest of all errors of a difference between
            two groups (Tukey's simultaneous interval, bootstrapped), since best and worst were picked.
    """

    best: str
    worst: str
    value: float
    low: float
    high: float


def gap(groups: Mapping[str, Sample], metric: str) -> Gap | None:
    """The largest gap between groups of at least `FEWEST` faces.

    None where fewer than two have the metric, or where they were not asked the same question: one set's seven
    expressions and another's two make no gap.
    """
    found = {name: one for name, one in groups.items() if metric in one.values and one.n >= FEWEST}
    if len(found) < 2 or len({one.asked.get(metric) for one in found.values()}) > 1:
        return None
    values = {name: one.values[metric] for name, one in found.items()}
    badness = {name: loss(metric, value) for name, value in values.items()}
    # Of a signed error the two ends are furthest apart, and the best group is between them.
    along = values if quantity_of(metric).better == "zero" else badness
    ends = sorted(along, key=lambda name: along[name])
    best, worst = sorted((ends[0], ends[-1]), key=lambda name: badness[name])
    errors = np.ptp([one.draws[metric] - values[name] for name, one in found.items()], axis=0)
    value, error = max(values.values()) - min(values.values()), float(np.nanquantile(errors, 1 - LEVEL))
    return Gap(best, worst, value, max(value - error, 0), value + error)


def age_standardised(
    table: pd.DataFrame, groups: Mapping[str, np.ndarray], parts: Sequence[Tally]
) -> dict[str, Sample]:
    """Group -> metrics with the age bands of the whole table.

    Bands are used in which every group has `FEWEST_IN_BAND` faces; groups of less than `FEWEST` are left out.
    No groups where no age is known or no band is common to all. A calibration error is not standardised.

    Args:
        table: labels and answers.
        groups: of one grouping, name -> which faces `[N]`, see `members`.
        parts: what the faces add.
    """
    bands = with_ages_in(table, "age_band", age_band)
    masks = {group: inside for group, inside in groups.items() if inside.sum() >= FEWEST}
    if bands is None or len(masks) < 2:
        return {}
    in_bands = [
        inside
        for inside in ((bands == band).to_numpy(bool) for band in AGE_BANDS)
        if all((mask & inside).sum() >= FEWEST_IN_BAND for mask in masks.values())
    ]
    if not in_bands:
        return {}
    parts = [part for part in parts if {one.family for one in part.metrics.values()} - {"bins"}]
    asked = {metric: part.asked for part in parts for metric in part.metrics}
    found, people = {}, people_of(table)
    for group, mask in masks.items():
        own = [part.take(mask) for part in parts]
        cells = [(inside[mask], inside.sum() / bands.notna().sum()) for inside in in_bands]
        one = _standardised(own, cells, np.ones((1, int(mask.sum()))))
        values = {name: float(value[0]) for name, value in one.items() if not np.isnan(value[0])}
        draws = [_standardised(own, cells, times) for times in blocks_of_draws(len(table), people, mask)]
        drawn = {name: np.concatenate([block[name] for block in draws]) for name in values}
        found[group] = Sample(values, drawn, int(mask.sum()), asked)
    return found


def _standardised(
    parts: Sequence[Tally], cells: Sequence[tuple[np.ndarray, float]], times: np.ndarray
) -> dict[str, np.ndarray]:
    """The metrics `[R]` where the labelled faces of each cell `[N]` together weigh its share."""
    found: dict[str, np.ndarray] = {}
    for part in parts:
        weights = np.zeros(times.shape)
        for cell, share in cells:
            inside = np.flatnonzero(cell & part.known)
            drawn = times[:, inside]
            total = drawn.sum(axis=1, keepdims=True)
            weights[:, inside] = drawn * np.where(total > 0, divided(np.array(share), total), np.nan)
        found |= part.of(weights)
    return found


def _members(labels: pd.Series, known: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    words = labels.astype(object).where(labels.notna(), None).to_numpy()
    for group in (*known, *sorted(set(words) - {*known, None})):
        yield group, words == group
