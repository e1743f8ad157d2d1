"""The same metrics per group of people, because a good average may hide whom a model fails.

    by_group(table)["race"]["black"]       # {'n': 310, 'age_mae': 6.1, 'gender_accuracy': 0.93}

Groups are by the *labels* gender, race and age band. Children are two bands of their own (0-2, 3-9): they
are the known failure of this field. A face without the label is in none of its groups.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pocketface.evaluation.metrics import comparisons, score, tallies, with_ages_in
from pocketface.labels import AGE_BANDS, AGE_GROUPS, GENDERS, RACES, age_band

GROUPINGS = {"gender": GENDERS, "race": RACES, "age_band": AGE_BANDS, "age_group": AGE_GROUPS}
"""Label column -> its groups. Ages make bands where no band is given, but no coarse age groups."""

Groups = dict[str, dict[str, dict[str, float]]]


def by_group(table: pd.DataFrame) -> Groups:
    """Grouping -> group -> `n` and metrics; only groups that somebody is in.

    Args:
        table: as `pocketface.evaluation.metrics.measure` takes it.
    """
    parts = tallies(comparisons(table))
    groups: Groups = {}
    for (grouping, group), inside in members(table).items():
        found = {"n": int(inside.sum()), **score(parts, inside).values}
        groups.setdefault(grouping, {})[group] = found
    return groups


def members(table: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """(grouping, group) -> which faces `[N]` are in it; only groups that somebody is in."""
    return {key: inside for key, inside in _members(table) if inside.any()}


def _members(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    for grouping, groups in GROUPINGS.items():
        labels = with_ages_in(table, grouping, age_band) if grouping == "age_band" else table.get(grouping)
        if labels is not None:
            for group in groups:
                yield (grouping, group), (labels == group).fillna(False).to_numpy(bool)
