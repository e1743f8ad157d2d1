"""Metrics: from a table of truths and answers to named figures.

    measured = measure(table)
    measured.values["age_mae"], measured.counts["age_mae"]

The table has one row a face: label columns (`age`, `gender`, ...; null where not labelled) beside the
columns of `pocketface.evaluation.answers`. A missing label leaves its face out of that metric; it never
counts as wrong.

| metric | from | meaning |
|---|---|---|
| `age_mae` | `age` | mean absolute error, years |
| `age_cs5` | `age` | share of faces at most 5 years off (cumulative score) |
| `age_group_accuracy` | `age_group`, or `age` | young, or elderly from an answered age of 65 on |
| `age_band_accuracy` | `age_band`, or `age` | FairFace's bands |
| `gender_accuracy` | `gender` | |
| `expression_accuracy`, `expression_macro_f1` | `expression` | F1: mean over the expressions that occur |
| `ATTRIBUTE_accuracy`, `ATTRIBUTE_f1` | a CelebA attribute | F1 of the faces that have it |

An answered age is put into its group and band as it is, not rounded: 64.7 is young. Where the truth knows
only happy and sad, the answer is the more probable one of these two.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error  # type: ignore[import-untyped]

from pocketface.labels import CELEBA_ATTRIBUTES, NO_YES, age_band, age_group

CLOSE = 5.0
"""Years, of `age_cs5`."""

TWO_WAY = ("happy", "sad")


@dataclass(frozen=True)
class Measured:
    """Figures of one table.

    Attributes:
        values: metric -> value; years, or a share in 0..1.
        counts: metric -> number of faces it was taken over.
    """

    values: dict[str, float]
    counts: dict[str, int]


def measure(table: pd.DataFrame) -> Measured:
    """Every metric that the table's labels and answers allow."""
    return score(comparisons(table))


@dataclass(frozen=True)
class Comparison:
    """Truths `[N]` and answers `[N]` of one task, in the same words or unit; a truth may be null."""

    truth: pd.Series
    answer: pd.Series

    def of(self, faces: pd.Series) -> "Comparison":
        """That of the faces where `faces` is true."""
        return Comparison(self.truth[faces], self.answer[faces])


def comparisons(table: pd.DataFrame) -> dict[str, Comparison]:
    """Task -> comparison, for each task that the table has both a label and an answer of."""
    found = {}
    if "age_pred" in table:
        answer = table["age_pred"]
        if "age" in table:
            found["age"] = Comparison(table["age"].astype(float), answer)
        for task, group_of in (("age_group", age_group), ("age_band", age_band)):
            if (truth := with_ages_in(table, task, group_of)) is not None:
                found[task] = Comparison(truth, answer.map(group_of))
    for task in ("gender", "expression"):
        if task in table and f"{task}_pred" in table:
            found[task] = Comparison(table[task], table[f"{task}_pred"])
    if "expression" in found and is_two_way(table["expression"]):
        found["expression"] = Comparison(table["expression"], _two_way_answer(table))
    for task in CELEBA_ATTRIBUTES:
        if task in table and f"{task}_pred" in table:
            found[task] = Comparison(table[task].map(dict(enumerate(NO_YES))), table[f"{task}_pred"])
    return found


def score(found: dict[str, Comparison]) -> Measured:
    """The metrics of each task over its labelled faces; a task without any has none."""
    measured = Measured({}, {})
    for task, comparison in found.items():
        known = comparison.of(comparison.truth.notna())
        if len(known.truth) == 0:
            continue
        for name, metric in METRICS.get(task, ATTRIBUTE_METRICS).items():
            value = metric(known.truth.to_numpy(), known.answer.to_numpy())
            measured.values[f"{task}_{name}"] = float(value)
            measured.counts[f"{task}_{name}"] = len(known.truth)
    return measured


def best_constant(found: dict[str, Comparison]) -> dict[str, Comparison]:
    """The same truths with the best answer that is the same for all: the median, or the commonest class.

    It has seen the truths, so it is a hair better than any estimator that does not look at the face.
    """
    constant = {}
    for task, comparison in found.items():
        known = comparison.truth.dropna()
        if len(known):
            answer = known.median() if task == "age" else known.mode()[0]
            constant[task] = Comparison(comparison.truth, pd.Series(answer, index=comparison.truth.index))
    return constant


def is_two_way(expressions: pd.Series) -> bool:
    """Whether the labels are only happy and sad, so that the question is which of the two."""
    words = set(expressions.dropna())
    return bool(words) and words <= set(TWO_WAY)


def with_ages_in(table: pd.DataFrame, task: str, group_of: Callable[[float], str]) -> pd.Series | None:
    """The labels of `age_group` or `age_band`, and where a face has none but an age, that age's."""
    if "age" not in table:
        return table.get(task)
    of_age = table["age"].map(group_of, na_action="ignore").astype(object)
    return table[task].astype(object).fillna(of_age) if task in table else of_age


def _two_way_answer(table: pd.DataFrame) -> pd.Series:
    happy, sad = (table.get(f"expression_prob_{label}") for label in TWO_WAY)
    if happy is None or sad is None:
        return table["expression_pred"]
    return pd.Series(np.where(happy >= sad, *TWO_WAY), index=table.index)


def _close(truth: np.ndarray, answer: np.ndarray) -> float:
    return float(np.mean(np.abs(truth - answer) <= CLOSE))


def _macro_f1(truth: np.ndarray, answer: np.ndarray) -> float:
    return float(f1_score(truth, answer, labels=sorted(set(truth)), average="macro", zero_division=0))


def _positive_f1(truth: np.ndarray, answer: np.ndarray) -> float:
    return float(f1_score(truth == NO_YES[1], answer == NO_YES[1], zero_division=0))


Metric = Callable[[np.ndarray, np.ndarray], float]
METRICS: dict[str, dict[str, Metric]] = {
    "age": {"mae": mean_absolute_error, "cs5": _close},
    "age_group": {"accuracy": accuracy_score},
    "age_band": {"accuracy": accuracy_score},
    "gender": {"accuracy": accuracy_score},
    "expression": {"accuracy": accuracy_score, "macro_f1": _macro_f1},
}
ATTRIBUTE_METRICS: dict[str, Metric] = {"accuracy": accuracy_score, "f1": _positive_f1}
