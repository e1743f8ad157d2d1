"""Metrics: from a table of truths and answers to named numbers.

    measure(table).values["age_mae"]

The table has one row a face: label columns (`age`, `gender`, ...) beside the columns of
`pocketface.metrics.answers`. A face without a label is left out of that metric, and so is a metric that is 0/0.

| metric | of | meaning |
|---|---|---|
| `age_mae`, `age_bias` | `age` | mean absolute and mean signed error, years |
| `age_cs5` | `age` | share of faces at most 5 years off (cumulative score), answers rounded to whole years as labels are |
| `TASK_accuracy` | every task of classes | share of right answers |
| `TASK_balanced_accuracy` | every task of classes | mean over the classes that occur of the share found |
| `TASK_macro_f1`, `TASK_weighted_f1` | `gender`, `expression` | F1: mean over the classes that occur, plain or weighted by their faces |
| `ATTRIBUTE_f1`, `ATTRIBUTE_weighted_f1` | a CelebA attribute | F1 of its positive class, see `POSITIVE`; of both classes, weighted by their faces |
| `ATTRIBUTE_auc`, `ATTRIBUTE_average_precision` | a CelebA attribute | area under the ROC curve, and average precision, of the probability of the positive class |
| `TASK_ece` | tasks with probabilities | calibration error: how far the probability of the answer is from the share of right answers, root mean square over 15 bins, debiased; from 200 faces on |

The tasks of classes are `gender`, `expression`, the attributes, and from an answered age `age_group` (elderly
from 65 on) and `age_band` (FairFace's), whose labels may also come from `age`. An answered age is not rounded
for them: 64.7 is young. Where the truth knows only happy and sad, the answer is the more probable one of these
two: another question than that of all seven. Definitions are in `pocketface.metrics.registry`.
"""  # noqa: E501 (the table)

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from pocketface.core.labels import CELEBA_ATTRIBUTES, CLASSES, NO_YES, age_band, age_group, words
from pocketface.metrics.registry import BINS, METRICS, Metric, divided, name_of, of_task

CLOSE = 5.0
"""Years, of `age_cs5`."""

AT_ONCE = 1_000_000
"""Numbers that are tried at once of a confusion matrix."""

TWO_WAY = ("happy", "sad")
"""Where only these are labelled, the question is which of the two."""

POSITIVE = {"Attractive": "no", "No_Beard": "no", "Young": "no"}
"""Attribute -> its positive class, the rarer one among CelebA's 202,599 pictures; `yes` of all others."""

Values = dict[str, np.ndarray]
"""Metric -> values, not a number where it is 0/0."""


@dataclass(frozen=True)
class Measured:
    """Metrics of one table.

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
        asked: the classes that were to choose from, of an attribute the positive one last; none of a number.
        confidence: the probability `[N]` that was given to each answer, for tasks that have it.
        positive: that of the positive class, for attributes.
    """

    truth: pd.Series
    answer: pd.Series
    asked: tuple[str, ...] = ()
    confidence: pd.Series | None = None
    positive: pd.Series | None = None


@dataclass(frozen=True)
class Tally(ABC):
    """What `N` faces add to metrics that are computed from the same terms; nothing without the label.

    Attributes:
        known: which faces `[N]` have the label.
        metrics: full name -> metric, all of one family.
        asked: see `Comparison`.
        hits: metric that is a share of right answers -> which faces `[N]` are answered right.
    """

    known: np.ndarray
    metrics: Mapping[str, Metric]
    asked: tuple[str, ...]
    hits: Mapping[str, np.ndarray]

    @abstractmethod
    def of(self, times: np.ndarray, drawn: bool = False) -> Values:
        """The metrics `[R]` where face i counts `times[r, i]` times; `drawn`: it is a bootstrap draw."""

    @property
    @abstractmethod
    def terms(self) -> np.ndarray:
        """What every face adds, `[N, ...]`; variants with the same answer alike."""

    @abstractmethod
    def swapped(self, other: Self, which: np.ndarray, flips: np.ndarray) -> tuple[Values, Values]:
        """The metrics `[P]` of both after swapping their answers of face `which[i]` where `flips[p, i]`."""

    @abstractmethod
    def reach(self, other: Self) -> dict[str, float]:
        """Metric -> the most that one more face which the two answer differently would change it."""

    def only(self, metrics: Container[str]) -> Self:
        """The same with some of its metrics."""
        return replace(self, metrics={name: one for name, one in self.metrics.items() if name in metrics})

    def take(self, which: np.ndarray) -> Self:
        """The same of some faces only, a mask `[N]` or their rows."""
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        taken = {name: one[which] for name, one in arrays.items() if isinstance(one, np.ndarray)}
        return replace(self, **taken, hits={name: right[which] for name, right in self.hits.items()})


@dataclass(frozen=True)
class Sums(Tally):
    """A tally of terms that are summed.

    Attributes:
        faces: the terms `[N, F]`, see `pocketface.metrics.registry`.
    """

    faces: np.ndarray

    @cached_property
    def terms(self) -> np.ndarray:
        """See `Tally`."""
        return self.faces * self.known[:, None]

    def of(self, times: np.ndarray, drawn: bool = False) -> Values:
        """See `Tally`."""
        return self._computed(times @ self.terms, drawn)

    def swapped(self, other: Self, which: np.ndarray, flips: np.ndarray) -> tuple[Values, Values]:
        """See `Tally`."""
        moves = self.terms[which] - other.terms[which]
        columns = np.flatnonzero(moves.any(axis=0))
        moved = np.zeros((len(flips), moves.shape[1]))
        moved[:, columns] = flips @ moves[:, columns]
        own, theirs = self.terms.sum(axis=0), other.terms.sum(axis=0)
        return self._computed(own - moved), self._computed(theirs + moved)

    def reach(self, other: Self) -> dict[str, float]:
        """See `Tally`: one answer to another class; of errors, the largest change of one that was seen."""
        sums, family = other.terms.sum(axis=0), next(iter(self.metrics.values())).family
        if family == "bins":
            return dict.fromkeys(self.metrics, 1 / max(int(self.known.sum()), 1))
        changes = np.abs(self.terms - other.terms)
        ways = _moved_answers(sums) if family == "cells" else [_moved_errors(changes)]
        then, most = self._computed(sums), dict.fromkeys(self.metrics, 0.0)
        for moves in ways:
            for name, now in self._computed(sums + moves).items():
                gap = float(np.nan_to_num(np.abs(now - then[name])).max(initial=0))
                most[name] = max(most[name], gap)
        return most

    def _computed(self, sums: np.ndarray, drawn: bool = False) -> Values:
        return {
            name: (metric.drawn if drawn and metric.drawn else metric.compute)(sums)
            for name, metric in self.metrics.items()
        }


@dataclass(frozen=True)
class Ranks(Tally):
    """A tally of the order of faces.

    Attributes:
        score: the probability `[N]` of the positive class.
        positive: who is of it, bool `[N]`.
    """

    score: np.ndarray
    positive: np.ndarray

    @property
    def terms(self) -> np.ndarray:
        """See `Tally`."""
        return np.where(self.known, self.score, 0)

    def of(self, times: np.ndarray, drawn: bool = False) -> Values:
        """See `Tally`."""
        order = self._order()
        score, positive = -self.score[order], self.positive[order]
        at, rank = np.flatnonzero(positive), np.r_[0, positive.cumsum()]
        ends = [np.searchsorted(score, score[at], side) for side in ("left", "right")]
        ordered = times[:, order]
        place, found = _running(ordered), _running(ordered[:, at])
        upto, until = found[:, rank[ends[1]]], place[:, ends[1]]
        negatives = (place[:, -1] - found[:, -1])[:, None]
        above = until - upto
        if len(np.unique(score)) < len(score):  # of a tie, half
            above = (above + place[:, ends[0]] - found[:, rank[ends[0]]]) / 2
        weights = ordered[:, at].astype(float)
        precision = np.divide(upto, until, out=np.zeros(upto.shape), where=until > 0)
        below = divided(negatives - above, negatives)
        means = [np.einsum("rk,rk->r", weights, share) for share in (precision, below)]
        sums = np.stack([*means, weights.sum(axis=1)], axis=1)
        return {name: metric.compute(sums) for name, metric in self.metrics.items()}

    def swapped(self, other: Self, which: np.ndarray, flips: np.ndarray) -> tuple[Values, Values]:
        """See `Tally`."""
        both = replace(
            self,
            score=np.concatenate([self.score, other.score]),
            positive=np.concatenate([self.positive, other.positive]),
            known=np.concatenate([self.known, other.known]),
        )
        theirs = np.zeros((len(flips), len(self.score)), bool)
        theirs[:, which] = flips
        return both.of(np.hstack([~theirs, theirs])), both.of(np.hstack([theirs, ~theirs]))

    def reach(self, other: Self) -> dict[str, float]:
        """See `Tally`: two neighbours in the order change places."""
        yes = other.positive[other._order()].astype(float)
        found, place = yes.cumsum(), np.arange(1, len(yes) + 1)
        moved = (yes[:-1] > yes[1:]) * (found / (place * (place + 1)))[:-1]
        most = float(moved.max(initial=0) / max(yes.sum(), 1))
        least = 1 / max(yes.sum() * (1 - yes).sum(), 1)
        return {name: least if name.endswith("_auc") else max(most, least) for name in self.metrics}

    def _order(self) -> np.ndarray:
        """The labelled faces, the most probable first."""
        return np.flatnonzero(self.known)[np.argsort(-self.score[self.known], kind="stable")]


def _running(times: np.ndarray) -> np.ndarray:
    """Sums `[R, M + 1]` of the first 0 to M columns of `[R, M]`."""
    sums = np.zeros((times.shape[0], times.shape[1] + 1), np.float64 if times.dtype == float else np.int32)
    np.cumsum(times, axis=1, out=sums[:, 1:])
    return sums


def _moved_answers(sums: np.ndarray) -> Iterator[np.ndarray]:
    """All ways `[M, K*K]` in which one face of a confusion matrix is answered otherwise, in blocks: of many
    classes they are gigabytes.
    """
    classes, cells = round(len(sums) ** 0.5), np.flatnonzero(sums > 0)
    at_once = max(1, AT_ONCE // (classes * len(sums)))
    for first in range(0, len(cells), at_once):
        some = cells[first : first + at_once]
        starts = some.repeat(classes)
        ends = starts - starts % classes + np.tile(np.arange(classes), len(some))
        moves, rows = np.zeros((len(starts), len(sums))), np.arange(len(starts))
        moves[rows, starts] -= 1
        moves[rows, ends] += 1
        yield moves


def _moved_errors(changes: np.ndarray) -> np.ndarray:
    """The largest change `[3, 4]` of an error, of a signed one, and of whether it is close."""
    most = changes.max(axis=0, initial=0)
    return np.diag([most[0], most[1], 1.0, 0.0])[:3]


def comparisons(table: pd.DataFrame) -> dict[str, Comparison]:
    """Task -> comparison, for each task that the table has both a label and an answer of."""
    found = {}
    if "age_pred" in table:
        answer = table["age_pred"].astype(float)
        if "age" in table:
            found["age"] = Comparison(table["age"].astype(float), answer)
        for task, group_of in (("age_group", age_group), ("age_band", age_band)):
            if (truth := with_ages_in(table, task, group_of)) is not None:
                found[task] = Comparison(truth, answer.map(group_of), CLASSES[task])
    for task in ("gender", "expression"):
        if task in table and f"{task}_pred" in table:
            found[task] = _answered(table, task, table[task], CLASSES[task])
    if "expression" in found and set() < set(table["expression"].dropna()) <= set(TWO_WAY):
        found["expression"] = _two_way(table)
    for task in CELEBA_ATTRIBUTES:
        if task in table and f"{task}_pred" in table:
            asked = NO_YES if POSITIVE.get(task, "yes") == "yes" else NO_YES[::-1]
            answered = _answered(table, task, words(table[task]), asked)
            found[task] = replace(answered, positive=table.get(f"{task}_prob_{asked[-1]}"))
    names = [str(column) for column in table]
    for task in (name.removesuffix("_pred") for name in names if name.endswith("_pred")):
        if task in table and task not in (*found, "age", "race"):  # somebody's own, or bands of ages
            start = f"{task}_prob_"
            labels = tuple(name.removeprefix(start) for name in names if name.startswith(start))
            found[task] = _answered(table, task, table[task], labels)
    return found


def tallies(found: Mapping[str, Comparison], metrics: Container[str] | None = None) -> list[Tally]:
    """What the faces add to every metric of these comparisons, or to some `metrics`."""
    parts: list[Tally] = []
    for task, comparison in found.items():
        parts.append(_errors(task, comparison) if task == "age" else _cells(task, comparison))
        if comparison.confidence is not None:
            parts.append(_bins(task, comparison, comparison.confidence))
        if comparison.positive is not None:
            parts.append(_ranks(task, comparison, comparison.positive))
    return parts if metrics is None else [few for part in parts if (few := part.only(metrics)).metrics]


def of_errors(name: str, errors: np.ndarray) -> Sums:
    """What errors `[N]` of faces add to a metric: what they are to a mean (`age_mae`), and to an accuracy
    whether they are 0.
    """
    metric, known, right = METRICS[name_of(name) or ""], np.ones(len(errors), bool), errors == 0
    if metric.family == "errors":
        return Sums(known, {name: metric}, (), {}, np.stack([errors, errors, right, known], axis=1))
    cells = np.stack([right, ~right, ~known, ~known], axis=1).astype(float)
    return Sums(known, {name: metric}, (), {name: right}, cells)


def score(parts: Sequence[Tally], inside: np.ndarray | None = None) -> Measured:
    """The metrics over the labelled faces, or over those `inside`, bool `[N]`; one that no face has or that
    is 0/0 is left out.
    """
    measured = Measured({}, {})
    for part in parts:
        chosen = part.known if inside is None else part.known & inside
        for name, (value,) in part.of(chosen[None]).items() if chosen.any() else ():
            if not np.isnan(value):
                measured.values[name] = float(value)
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
            faces, sure, chance = comparison.truth.index, comparison.confidence, comparison.positive
            if sure is not None:
                sure = pd.Series(float((known == answer).mean()), faces)
            if chance is not None:
                chance = pd.Series(float((known == comparison.asked[-1]).mean()), faces)
            constant[task] = replace(
                comparison, answer=pd.Series(answer, faces), confidence=sure, positive=chance
            )
    return constant


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


def _answered(table: pd.DataFrame, task: str, truth: pd.Series, asked: tuple[str, ...]) -> Comparison:
    probabilities = table.filter(regex=rf"^{task}_prob_")
    confidence = probabilities.max(axis=1).astype(float) if probabilities.shape[1] else None
    return Comparison(truth, table[f"{task}_pred"], asked, confidence)


def _two_way(table: pd.DataFrame) -> Comparison:
    happy, sad = (table.get(f"expression_prob_{label}") for label in TWO_WAY)
    if happy is None or sad is None:
        return Comparison(table["expression"], table["expression_pred"], CLASSES["expression"])
    answer = pd.Series(np.where(happy >= sad, *TWO_WAY), index=table.index)
    either = (happy + sad).astype(float)
    share = (happy.where(happy >= sad, sad) / either.where(either > 0)).fillna(0.5)
    return Comparison(table["expression"], answer, TWO_WAY, share)


def _errors(task: str, comparison: Comparison) -> Sums:
    known = comparison.truth.notna().to_numpy()
    truth, answer = comparison.truth.to_numpy(float), comparison.answer.to_numpy(float)
    error = np.nan_to_num(answer - truth)
    close = known & (np.nan_to_num(np.abs(np.floor(answer + 0.5) - truth)) <= CLOSE)
    faces = np.stack([np.abs(error), error, close, known], axis=1)
    return Sums(known, of_task("errors", task), (), {f"{task}_cs5": close}, faces)


def _cells(task: str, comparison: Comparison) -> Sums:
    known = comparison.truth.notna().to_numpy()
    truth, answer = comparison.truth[known], comparison.answer[known]
    words = tuple(dict.fromkeys([*sorted({*truth, *answer} - {*comparison.asked}), *comparison.asked]))
    code = {word: i for i, word in enumerate(words)}
    rows, columns = truth.map(code).to_numpy(int), answer.map(code).to_numpy(int)
    faces = np.zeros((len(known), len(code) ** 2))
    faces[np.flatnonzero(known), rows * len(code) + columns] = 1
    right = np.zeros(len(known), bool)
    right[known] = rows == columns
    return Sums(known, of_task("cells", task), words, {f"{task}_accuracy": right}, faces)


def _bins(task: str, comparison: Comparison, confidence: pd.Series) -> Sums:
    known = comparison.truth.notna().to_numpy()
    sure = confidence.to_numpy(float)
    gap = sure - (comparison.truth == comparison.answer).to_numpy(float)
    faces = np.zeros((len(known), BINS, 3))
    faces[np.arange(len(known)), bin_of(sure)] = np.stack([gap, gap**2, np.ones(len(gap))], axis=1)
    terms = faces.reshape(len(known), 3 * BINS)
    return Sums(known, of_task("bins", task), comparison.asked, {}, terms)


def _ranks(task: str, comparison: Comparison, positive: pd.Series) -> Ranks:
    known = comparison.truth.notna().to_numpy()
    yes = (comparison.truth == comparison.asked[-1]).to_numpy(bool)
    return Ranks(known, of_task("ranks", task), comparison.asked, {}, positive.to_numpy(float), yes)
