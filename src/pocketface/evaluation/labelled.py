"""Measuring models on a person's own labelled pictures.

found = evaluate_pictures(open_variants(folders), Path("labels.csv"), Search())
found["n"], found["metrics"]["age_mae"]
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketface.evaluation.answers import answerable, varies
from pocketface.evaluation.evaluate import summary
from pocketface.evaluation.finding import Search, look_at
from pocketface.evaluation.label_csv import PATH, read_labels
from pocketface.evaluation.variants import Variant


def evaluate_pictures(variants: Sequence[Variant], labels: Path, search: Search) -> dict[str, Any]:
    """Measures models on labelled pictures.

    Args:
        variants: of which no two answer the same.
        labels: a csv, see `pocketface.evaluation.label_csv`; its paths are relative to its folder.
        search: where the face is.

    Returns:
        `models` (name -> heads), `n` (pictures answered), `rejected` (a list of `path` and `reason`),
        `metrics`, `intervals`, `metric_n`, `baseline`, `by_group` as `pocketface.evaluation.evaluate.summary`
        gives them, `varies` (whether the answers differ between pictures at all) and `unanswered` (label
        columns that no model answers).

    Raises:
        PocketfaceError: something in the csv is not understood, or a model fails.
    """
    table = read_labels(labels)
    wanted = [(variant.crop, variant.input) for variant in variants]
    rejected, answered = [], []
    outputs: list[dict[str, list[np.ndarray]]] = [
        {head: [] for head in variant.runner.outputs} for variant in variants
    ]
    files = [labels.parent / path for path in table[PATH]]
    for row, looked in enumerate(look_at(files, wanted, search)):
        if looked.reason is not None:
            rejected.append({"path": table[PATH][row], "reason": looked.reason})
            continue
        answered.append(row)
        for variant, pixels, collected in zip(variants, looked.faces[0], outputs, strict=True):
            for head, output in variant.runner.one(pixels).items():
                collected[head].append(output)
    stacks = [
        {head: _stack(rows, variant.runner.outputs[head]) for head, rows in collected.items()}
        for variant, collected in zip(variants, outputs, strict=True)
    ]
    answers = [variant.decode(stack) for variant, stack in zip(variants, stacks, strict=True)]
    known = pd.concat([table.iloc[answered].reset_index(drop=True), *answers], axis=1)
    return summary(known) | {
        "models": {variant.name: sorted(variant.outputs) for variant in variants},
        "rejected": rejected,
        "varies": all(map(varies, stacks)),
        "unanswered": unanswered(variants, table.columns),
    }


def unanswered(variants: Sequence[Variant], labels: Iterable[str]) -> list[str]:
    """The label columns that none of the models answers (race is only ever a grouping)."""
    heads = [head for variant in variants for head in variant.outputs]
    return [label for label in labels if label not in (PATH, "race", *answerable(heads))]


def _stack(rows: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(rows) if rows else np.empty((0, *shape), np.float32)
