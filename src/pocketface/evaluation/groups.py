"""The same metrics per group of people, because a good average may hide whom a model fails.

    by_group(table)["race"]["black"]       # {'n': 310, 'age_mae': 6.1, 'gender_accuracy': 0.93}

Groups are by the *labels* gender, race and age band. Children are two bands of their own (0-2, 3-9): they
are the known failure of this field. A face without the label is in none of its groups.
"""

import pandas as pd

from pocketface.evaluation.metrics import comparisons, score, with_ages_in
from pocketface.labels import AGE_BANDS, AGE_GROUPS, GENDERS, RACES, age_band

GROUPINGS = {"gender": GENDERS, "race": RACES, "age_band": AGE_BANDS, "age_group": AGE_GROUPS}
"""Label column -> its groups. Ages make bands where no band is given, but no coarse age groups."""

Groups = dict[str, dict[str, dict[str, float]]]


def by_group(table: pd.DataFrame) -> Groups:
    """Grouping -> group -> `n` and metrics; only groups that somebody is in.

    Args:
        table: as `pocketface.evaluation.metrics.measure` takes it.
    """
    found = comparisons(table)
    groups: Groups = {}
    for grouping, values in GROUPINGS.items():
        members = with_ages_in(table, grouping, age_band) if grouping == "age_band" else table.get(grouping)
        if members is None:
            continue
        for value in values:
            inside = (members == value).fillna(False).astype(bool)
            if inside.any():
                measured = score({task: comparison.of(inside) for task, comparison in found.items()})
                groups.setdefault(grouping, {})[value] = {"n": int(inside.sum()), **measured.values}
    return groups
