"""The same metrics per group of people, because a good average may hide whom a model fails.

    by_group(table)["race"]["black"]       # {'n': 310, 'age_mae': 6.1, 'gender_accuracy': 0.93}

Groups are by the *labels* gender, race and age band, and by any further words that a person has of the faces.
Children are two bands of their own (0-2, 3-9): they are the known failure of this field. A face without the
label is in none of its groups.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from pocketface.core.labels import CLASSES, age_band
from pocketface.metrics.measures import comparisons, score, tallies, with_ages_in

GROUPINGS = {label: CLASSES[label] for label in ("gender", "race", "age_band", "age_group")}
"""Label column -> its groups, in order; a race of another word is a group after these. Ages make bands where
no band is given, but no coarse age groups."""

Groups = dict[str, dict[str, dict[str, float]]]


def by_group(table: pd.DataFrame, further: pd.DataFrame | None = None) -> Groups:
    """Grouping -> group -> `n` and metrics; only groups that somebody is in.

    Args:
        table: as `pocketface.metrics.measures.measure` takes it.
        further: groupings besides, a column of words each, null where unknown; the same faces.
    """
    parts = tallies(comparisons(table))
    groups: Groups = {}
    for (grouping, group), inside in members(table, further).items():
        found = {"n": int(inside.sum()), **score(parts, inside).values}
        groups.setdefault(grouping, {})[group] = found
    return groups


def members(table: pd.DataFrame, further: pd.DataFrame | None = None) -> dict[tuple[str, str], np.ndarray]:
    """(grouping, group) -> which faces `[N]` are in it; only groups that somebody is in."""
    groupings = {name: table.get(name) for name in GROUPINGS}
    groupings["age_band"] = with_ages_in(table, "age_band", age_band)
    if further is not None:
        groupings |= {str(name): words for name, words in further.items()}
    return {
        (grouping, group): inside
        for grouping, labels in groupings.items()
        if labels is not None
        for group, inside in _members(labels, GROUPINGS.get(grouping, ()))
        if inside.any()
    }


def _members(labels: pd.Series, known: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    for group in (*known, *sorted(set(labels.dropna()) - set(known))):
        yield group, (labels == group).fillna(False).to_numpy(bool)
