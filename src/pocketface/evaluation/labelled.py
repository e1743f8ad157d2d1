"""Measuring models on a person's own labelled pictures."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.face_search import REASONS, Search
from pocketface.evaluation.label_csv import COLUMNS, PATH, read_labels
from pocketface.evaluation.predict import answered
from pocketface.evaluation.variants import Variant, second_to
from pocketface.metrics.answers import answerable, varies
from pocketface.metrics.confidence import resample
from pocketface.metrics.groups import by_group
from pocketface.metrics.measures import best_constant, comparisons, score, tallies

MOST_GROUPS = 100
"""Words of a further column, above which it is no grouping but, say, the pictures' numbers."""


def evaluate_pictures(
    variants: Sequence[Variant], labels: Path, search: Search, workers: int = 1
) -> dict[str, Any]:
    """Measures models on labelled pictures.

    Args:
        variants: of those that answer the same, the first one is measured; one that answers no label is not
            run.
        labels: a csv, see `pocketface.evaluation.label_csv`; its paths are relative to its folder.
        search: where the face is.
        workers: threads or processes that share the pictures.

    Returns:
        `n` (pictures answered), `rejected` (a list of `path` and `reason`), `metrics`, `intervals` (the 95%
        interval of each), `metric_n` (how many of the faces have the label), `baseline` (the metrics of the
        best constant answer), `by_group`, `varies` (whether the answers differ between pictures at all),
        `models` (name -> heads), `second` (model -> heads that it is not measured on, since one before it
        answers them), `idle` (models that were not run), `unanswered` (label columns that no model answers;
        race is only ever a grouping), `further` (the columns besides that are groupings) and `ignored` (those
        of more than `MOST_GROUPS` words, which are not).

    Raises:
        PocketfaceError: something in the csv is not understood, none of its pictures shows a face, or a model
            fails.
    """
    table = read_labels(labels)
    able = [variant for variant in variants if set(answerable(variant.outputs)) & set(table.columns)]
    idle = [variant.name for variant in variants if able and variant not in able]
    variants = able or variants
    files = [labels.parent / path for path in table[PATH]]
    rejected, rows, faces = [], [], []
    for row, (looked, outputs) in enumerate(answered(variants, files, search, workers)):
        if looked.reason is not None:
            rejected.append({"path": table[PATH][row], "reason": looked.reason})
        else:
            rows.append(row)
            faces.append(outputs[0])
    if not faces:
        raise PocketfaceError(_nothing_answered(labels, rejected))
    stacks = [
        {head: np.stack([output[head] for output in model]) for head in model[0]}
        for model in zip(*faces, strict=True)
    ]
    answers = [variant.decode(stack) for variant, stack in zip(variants, stacks, strict=True)]
    table = table.iloc[rows].reset_index(drop=True)
    words = {str(column): table[column].nunique() for column in table if column not in COLUMNS}
    further = [column for column, count in words.items() if count <= MOST_GROUPS]
    heads = [head for variant in variants for head in variant.outputs]
    told = (PATH, "race", *answerable(heads))
    known = pd.concat([table[[column for column in table if column in (*COLUMNS, *heads)]], *answers], axis=1)
    known = known.loc[:, ~known.columns.duplicated()]
    sample = resample(known)
    measured = score(sample.parts)
    second = second_to(variants)
    return {
        "n": len(known),
        "metrics": measured.values,
        "intervals": {metric: sample.interval(metric) for metric in measured.values},
        "metric_n": measured.counts,
        "baseline": score(tallies(best_constant(comparisons(known)))).values,
        "by_group": by_group(known, table[further]),
        "models": {v.name: sorted(set(v.outputs) - heads) for v, heads in zip(variants, second, strict=True)},
        "second": {v.name: sorted(heads) for v, heads in zip(variants, second, strict=True) if heads},
        "idle": idle,
        "rejected": rejected,
        "varies": all(map(varies, stacks)),
        "unanswered": [name for name in table if name in COLUMNS and name not in told],
        "further": further,
        "ignored": [column for column in words if column not in further],
    }


def _nothing_answered(labels: Path, rejected: Sequence[dict[str, str]]) -> str:
    (reason, count), *_ = Counter(row["reason"] for row in rejected).most_common(1)
    example = next(row["path"] for row in rejected if row["reason"] == reason)
    return (
        f"{labels}: none of its {len(rejected)} pictures could be answered; {count} times the reason is: "
        f"{REASONS[reason]}, as of {labels.parent / example} (paths are relative to the folder of the csv)"
    )
