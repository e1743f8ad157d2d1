"""Metrics: from a table of truths and answers to named figures.

    measured = measure(table)
    measured.values["age_mae"], measured.counts["age_mae"]

The table has one row a face: label columns (`age`, `gender`, ...; null where not labelled) beside the
columns of `pocketface.metrics.answers`. A missing label leaves its face out of that metric; it never
counts as wrong.

| metric | of | meaning |
|---|---|---|
| `age_mae` | `age` | mean absolute error, years |
| `age_cs5` | `age` | share of faces at most 5 years off (cumulative score) |
| `TASK_accuracy` | every task of classes | share of right answers |
| `TASK_balanced_accuracy` | every task of classes | mean over the classes that occur of the share found |
| `TASK_macro_f1`, `TASK_weighted_f1` | `gender`, `expression` | F1: mean over the classes that occur, plain or weighted by their faces |
| `ATTRIBUTE_f1`, `ATTRIBUTE_weighted_f1` | a CelebA attribute | F1 of the faces that have it; of both classes, weighted by their faces |
| `TASK_ece` | tasks with probabilities | expected calibration error: how far the probability of the answer is from the share of right answers, over 15 bins (Guo et al. 2017, arXiv:1706.04599) |

The tasks of classes are `gender`, `expression`, the attributes, and from an answered age `age_group` (elderly
from 65 on) and `age_band` (FairFace's), whose labels may also come from `age`. An answered age is put into its
group and band as it is, not rounded: 64.7 is young. Where the truth knows only happy and sad, the answer is
the more probable one of these two.

Every metric is a function of a sum over the faces (of errors, of cells of the confusion matrix, of bins of
confidence). `Tally` holds the terms of that sum, so one definition serves all faces, a group of them, and
thousands of resamples at once (`pocketface.evaluation.confidence`).
"""  # noqa: E501 (the table)

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from pocketface.core.labels import CELEBA_ATTRIBUTES, CLASSES, NO_YES, age_band, age_group

CLOSE = 5.0
"""Years, of `age_cs5`."""

BINS = 15
"""Of equal width, of the confidence, for `ece`."""

TWO_WAY = ("happy", "sad")

OfSums = Callable[[np.ndarray], np.ndarray]
"""From sums `[..., F]` to a metric `[...]`; not a number where no face was counted."""


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
    return score(tallies(comparisons(table)))


@dataclass(frozen=True)
class Comparison:
    """Truths and answers `[N]` of one task, in the same words or unit; a truth may be null.

    Attributes:
        confidence: the probability `[N]` that was given to each answer, for tasks that have it.
    """

    truth: pd.Series
    answer: pd.Series
    confidence: pd.Series | None = None


@dataclass(frozen=True)
class Tally:
    """What every face adds to the metrics that are functions of the same sums.

    Attributes:
        faces: the terms `[N, F]`, all zero for a face without the label.
        known: which faces `[N]` have the label.
        metrics: name -> function of the sums.
        hits: metric that is a share of right answers -> which faces `[N]` are answered right.
    """

    faces: np.ndarray
    known: np.ndarray
    metrics: Mapping[str, OfSums]
    hits: Mapping[str, np.ndarray]


def comparisons(table: pd.DataFrame) -> dict[str, Comparison]:
    """Task -> comparison, for each task that the table has both a label and an answer of."""
    found = {}
    if "age_pred" in table:
        answer = table["age_pred"].astype(float)
        if "age" in table:
            found["age"] = Comparison(table["age"].astype(float), answer)
        for task, group_of in (("age_group", age_group), ("age_band", age_band)):
            if (truth := with_ages_in(table, task, group_of)) is not None:
                found[task] = Comparison(truth, answer.map(group_of))
    for task in ("gender", "expression"):
        if task in table and f"{task}_pred" in table:
            found[task] = _answered(table, task, table[task])
    if "expression" in found and is_two_way(table["expression"]):
        found["expression"] = _two_way(table)
    for task in CELEBA_ATTRIBUTES:
        if task in table and f"{task}_pred" in table:
            found[task] = _answered(table, task, table[task].map(dict(enumerate(NO_YES))))
    return found


def tallies(found: Mapping[str, Comparison]) -> list[Tally]:
    """What the faces add to every metric of these comparisons."""
    parts = []
    for task, comparison in found.items():
        parts.append(_errors(comparison) if task == "age" else _cells(task, comparison))
        if comparison.confidence is not None:
            parts.append(_bins(task, comparison, comparison.confidence))
    return parts


def score(parts: Sequence[Tally], inside: np.ndarray | None = None) -> Measured:
    """The metrics over the labelled faces; a metric without any is left out.

    Args:
        parts: see `tallies`.
        inside: bool `[N]`: only these faces.
    """
    measured = Measured({}, {})
    for part in parts:
        chosen = part.known if inside is None else part.known & inside
        if chosen.any():
            sums = part.faces[chosen].sum(axis=0)
            for name, of_sums in part.metrics.items():
                measured.values[name] = float(of_sums(sums))
                measured.counts[name] = int(chosen.sum())
    return measured


def best_constant(found: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """The same truths with the best answer that is the same for all: the median, or the commonest class.

    It has seen the truths, so it is a hair better than any estimator that does not look at the face. Its
    confidence is the share of that class, which is as calibrated as can be.
    """
    constant = {}
    for task, comparison in found.items():
        known = comparison.truth.dropna()
        if len(known):
            answer = known.median() if task == "age" else known.mode()[0]
            faces = comparison.truth.index
            share = None
            if comparison.confidence is not None:
                share = pd.Series(float((known == answer).mean()), index=faces)
            constant[task] = Comparison(comparison.truth, pd.Series(answer, index=faces), share)
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


def bin_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of `ece`, 0 to 14, of each confidence in 0..1; a bin holds its upper edge, as in the paper."""
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def reliability(comparison: Comparison) -> pd.DataFrame:
    """Whether probabilities mean what they say.

    Returns:
        One row per bin of `ece` that has faces (the index, 0 to 14): mean `confidence`, `accuracy` (share of
        right answers) and `faces`. No rows for a task without probabilities.
    """
    if comparison.confidence is None:
        return pd.DataFrame({"confidence": [], "accuracy": [], "faces": []})
    known = comparison.truth.notna()
    sure = comparison.confidence[known]
    right = (comparison.truth == comparison.answer)[known].astype(float)
    table = pd.DataFrame({"confidence": sure, "accuracy": right, "faces": 1})
    return table.groupby(bin_of(sure.to_numpy())).agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), faces=("faces", "sum")
    )


def _answered(table: pd.DataFrame, task: str, truth: pd.Series) -> Comparison:
    probabilities = table.filter(regex=rf"^{task}_prob_")
    confidence = probabilities.max(axis=1).astype(float) if probabilities.shape[1] else None
    return Comparison(truth, table[f"{task}_pred"], confidence)


def _two_way(table: pd.DataFrame) -> Comparison:
    happy, sad = (table.get(f"expression_prob_{label}") for label in TWO_WAY)
    if happy is None or sad is None:
        return Comparison(table["expression"], table["expression_pred"])
    answer = pd.Series(np.where(happy >= sad, *TWO_WAY), index=table.index)
    either = (happy + sad).astype(float)
    share = (happy.where(happy >= sad, sad) / either.where(either > 0)).fillna(0.5)
    return Comparison(table["expression"], answer, share)


def _errors(comparison: Comparison) -> Tally:
    """Absolute errors, close answers, faces."""
    known = comparison.truth.notna().to_numpy()
    error = np.nan_to_num((comparison.answer - comparison.truth).abs().to_numpy(float))
    close = known & (error <= CLOSE)
    faces = np.stack([error, close, known], axis=1) * known[:, None]
    metrics = {"age_mae": partial(_ratio, 0), "age_cs5": partial(_ratio, 1)}
    return Tally(faces, known, metrics, {"age_cs5": close})


def _ratio(column: int, sums: np.ndarray) -> np.ndarray:
    return _divided(sums[..., column], sums[..., 2])


def _cells(task: str, comparison: Comparison) -> Tally:
    """The cells of the confusion matrix, truth by answer."""
    known = comparison.truth.notna().to_numpy()
    truth, answer = comparison.truth[known], comparison.answer[known]
    words = dict.fromkeys([*CLASSES.get(task, NO_YES), *sorted({*truth, *answer})])
    code = {word: i for i, word in enumerate(words)}
    rows, columns = truth.map(code).to_numpy(int), answer.map(code).to_numpy(int)
    faces = np.zeros((len(known), len(code) ** 2))
    faces[np.flatnonzero(known), rows * len(code) + columns] = 1
    right = np.zeros(len(known), bool)
    right[known] = rows == columns
    metrics = {f"{task}_{name}": of_sums for name, of_sums in OF_CELLS.get(task, ATTRIBUTE).items()}
    return Tally(faces, known, metrics, {f"{task}_accuracy": right})


def _bins(task: str, comparison: Comparison, confidence: pd.Series) -> Tally:
    """Per bin of confidence: confidence less right answers; and faces."""
    known = comparison.truth.notna().to_numpy()
    right = (comparison.truth == comparison.answer).to_numpy(float)
    sure = confidence.to_numpy(float)
    faces = np.zeros((len(known), BINS + 1))
    faces[np.arange(len(known)), bin_of(sure)] = sure - right
    faces[:, BINS] = 1
    return Tally(faces * known[:, None], known, {f"{task}_ece": _calibration_error}, {})


def _calibration_error(sums: np.ndarray) -> np.ndarray:
    return _divided(np.abs(sums[..., :BINS]).sum(-1), sums[..., BINS])


def _matrix(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of cells `[..., K*K]`: right answers, truths and answers per class, each `[..., K]`."""
    classes = round(sums.shape[-1] ** 0.5)
    cells = sums.reshape(*sums.shape[:-1], classes, classes)
    return np.diagonal(cells, axis1=-2, axis2=-1), cells.sum(-1), cells.sum(-2)


def _accuracy(sums: np.ndarray) -> np.ndarray:
    right, truths, _ = _matrix(sums)
    return _divided(right.sum(-1), truths.sum(-1))


def _balanced(sums: np.ndarray) -> np.ndarray:
    right, truths, _ = _matrix(sums)
    return _mean_over(truths > 0, _divided(right, truths))


def _f1(sums: np.ndarray) -> np.ndarray:
    """Per class; zero for one that is neither there nor answered."""
    right, truths, answers = _matrix(sums)
    return np.nan_to_num(_divided(2 * right, truths + answers))


def _macro_f1(sums: np.ndarray) -> np.ndarray:
    return _mean_over(_matrix(sums)[1] > 0, _f1(sums))


def _weighted_f1(sums: np.ndarray) -> np.ndarray:
    truths = _matrix(sums)[1]
    return _divided((truths * _f1(sums)).sum(-1), truths.sum(-1))


def _positive_f1(sums: np.ndarray) -> np.ndarray:
    return _f1(sums)[..., NO_YES.index("yes")]


def _mean_over(which: np.ndarray, values: np.ndarray) -> np.ndarray:
    return _divided(np.where(which, values, 0).sum(-1), which.sum(-1))


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above) / np.asarray(below)


PLAIN: dict[str, OfSums] = {"accuracy": _accuracy, "balanced_accuracy": _balanced}
MEANS: dict[str, OfSums] = PLAIN | {"macro_f1": _macro_f1, "weighted_f1": _weighted_f1}
ATTRIBUTE: dict[str, OfSums] = PLAIN | {"f1": _positive_f1, "weighted_f1": _weighted_f1}
OF_CELLS = {"age_group": PLAIN, "age_band": PLAIN, "gender": MEANS, "expression": MEANS}
"""Task -> the metrics of its confusion matrix; a task that is not here is an attribute."""
