"""How sure a metric is, and whether two variants differ in it.

Intervals are bootstrap intervals of 95%: the faces of a table are drawn again, with replacement, `RESAMPLES`
times. Which faces a draw holds depends on their number alone, so two variants that answered the same faces
are drawn alike, and the difference of their draws is a *paired* bootstrap: what both find hard cancels out.

The p-value of a change is that of a sign-flip permutation test over the faces, of shares of right answers
McNemar's. Where a table has a column `identity`, whole persons are drawn and swapped. `docs/statistics.md`
has the sources of the methods, and what the verdicts mean.
"""

from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from scipy import special

from pocketface.core.errors import PocketfaceError
from pocketface.core.hashing import fingerprint
from pocketface.metrics.measures import Tally, comparisons, score, tallies
from pocketface.metrics.settings import Margins

RESAMPLES = 1000
FLIPS = 1999
"""Random swaps that a p-value is estimated from, where all of them are too many."""
EXACT = 10
"""Up to so many faces that two variants answer differently, all swaps are tried."""
SEED = 95
LEVEL = 0.05
"""Of a test; intervals cover 1 - LEVEL, that of an equivalence 1 - 2 LEVEL."""
Z = float(special.ndtri(1 - LEVEL / 2))
POWER = 0.8
"""Of `Change.detectable`."""
FEWEST_DISCORDANT = 6
"""Fewer faces show nothing, even where all change the same way: 2 / 2**5 > 0.05."""

AT_ONCE = 1_000_000
"""Draws of single faces that are held in memory at once."""

Interval = tuple[float, float]
Verdict = Literal["equivalent", "worse", "better", "cannot tell"]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Sample:
    """The metrics of some faces, and of draws from them.

    Attributes:
        values: metric -> value.
        draws: metric -> its values `[RESAMPLES]`; not a number where a draw has no such face.
        n: number of faces.
        asked: metric -> the classes that were to choose from; unlike questions are not compared.
        parts: what the faces add to the metrics, to compare them; none of metrics that are standardised.
        people: a number `[N]` a face, the same for all of a person; None where nobody is known twice.
    """

    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    n: int
    asked: Mapping[str, tuple[str, ...]]
    parts: Sequence[Tally] = ()
    people: np.ndarray | None = None

    def interval(self, metric: str) -> Interval:
        """The 95% interval of a metric; of a share of right answers Wilson's (1927), since the draws of 18
        right answers out of 18 are all alike. Where whole persons are drawn it is that of as many persons,
        and only where all or none of the answers are right.
        """
        part = next((part for part in self.parts if metric in part.hits), None)
        if part is None:
            return middle(self.draws[metric])
        right, n = int(part.hits[metric].sum()), int(part.known.sum())
        if self.people is not None:
            if 0 < right < n:
                return middle(self.draws[metric])
            n = len(np.unique(self.people[part.known]))
            right = min(right, n)
        return wilson(right, n)

    @property
    def answers(self) -> dict[str, str]:
        """Metric -> a fingerprint of what the faces add to it; variants with the same one answer alike."""
        return {metric: fingerprint(part.terms) for part in self.parts for metric in part.metrics}


@dataclass(frozen=True)
class Change:
    """A metric of one variant less that of another, on the same faces.

    Attributes:
        change: in the metric's own unit.
        low, high: its 95% interval.
        p: of the sign-flip test.
        detectable: the smallest change that these faces would show with a probability of `POWER`; None
            where they could not show any.
        loss: how much worse the one is; negative for a gain.
        equivalent: whether the 90% interval lies within the margin, which is the two one-sided tests
            of Schuirmann (1987) at 5%.
        p_holm: p after Holm's correction for the other variants, see `corrected`; None before.
    """

    change: float
    low: float
    high: float
    p: float
    detectable: float | None = None
    loss: float = 0.0
    equivalent: bool = False
    p_holm: float | None = None

    @property
    def verdict(self) -> Verdict:
        """`equivalent` goes before the others: a change that is surely small is none, however sure it is."""
        if self.equivalent:
            return "equivalent"
        if (self.p if self.p_holm is None else self.p_holm) >= LEVEL or self.loss == 0:
            return "cannot tell"
        return "worse" if self.loss > 0 else "better"


def corrected(
    changes: Mapping[K, Mapping[str, Change]], answers: Mapping[K, Mapping[str, Hashable]]
) -> dict[K, dict[str, Change]]:
    """Key -> metric -> change, with p-values corrected by Holm's method over the keys, which are looked at
    together. `answers`: see `Sample.answers`: variants that answer alike are one hypothesis.
    """
    found: dict[K, dict[str, Change]] = {key: {} for key in changes}
    for metric in {metric: None for own in changes.values() for metric in own}:
        family = {key: own[metric] for key, own in changes.items() if metric in own}
        distinct = {answers[key][metric]: change.p for key, change in family.items()}
        p_holm = dict(zip(distinct, holm(list(distinct.values())), strict=True))
        for key, change in family.items():
            found[key][metric] = replace(change, p_holm=p_holm[answers[key][metric]])
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values such that calling those below 5% findings errs in at most 5% of such families (Holm 1979)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return [float(one) for one in np.minimum(stepped, 1)[np.argsort(order, kind="stable")]]


def resample(table: pd.DataFrame, metrics: Container[str] | None = None) -> Sample:
    """The metrics of a table, or some of them, and of draws from it."""
    return sampled(tallies(comparisons(table), metrics), len(table), people_of(table))


def paired(
    one: Sample, other: Sample, margins: Margins | None = None, flips: int = FLIPS
) -> dict[str, Change]:
    """Metric -> `one` less `other`; both answered the same faces, else that is a `PocketfaceError`."""
    found = {}
    theirs = {tuple(part.metrics): part for part in other.parts}
    for part in one.parts:
        match = theirs.get(tuple(part.metrics))
        if match is None:
            continue
        if one.n != other.n or not np.array_equal(part.known, match.known):
            raise PocketfaceError(f"a paired comparison needs the same faces, not {one.n} and {other.n}")
        p_values = sign_flip(part, match, one.people, flips)
        n = int(part.known.sum()) if one.people is None else len(np.unique(one.people[part.known]))
        reach = {name: most * part.known.sum() / max(n, 1) for name, most in part.reach(match).items()}
        for name, metric in part.metrics.items():
            if name in one.values and name in other.values:
                value, reference = one.values[name], other.values[name]
                centre = value - reference
                draws = centre + (one.draws[name] - other.draws[name] - centre) * _wider(n)
                (low, high), (inner_low, inner_high) = (
                    _reaching(draws, reach[name], covered) for covered in (1 - LEVEL, 1 - 2 * LEVEL)
                )
                margin, most = metric.margin(margins or Margins()), metric.most
                found[name] = Change(
                    change=centre,
                    low=max(low, -most),
                    high=min(high, most),
                    p=p_values[name],
                    detectable=_detectable(draws, reach[name] if metric.unit == "share" else 0.0, n, most),
                    loss=metric.loss(value, reference),
                    equivalent=-margin < inner_low and inner_high < margin,
                )
    return found


def sign_flip(
    one: Tally, other: Tally, people: np.ndarray | None = None, flips: int = FLIPS
) -> dict[str, float]:
    """Metric -> p-value of the test that swaps the two variants' answers of a face, or of a person's faces.

    Only faces that the two answer differently matter. All swaps of up to `EXACT` of them are tried, of more
    `flips` random ones. A share of right answers has McNemar's exact test, which is the same with all swaps.
    """
    which = np.flatnonzero((one.terms != other.terms).reshape(len(one.known), -1).any(axis=1))
    if not len(which):
        return dict.fromkeys(one.metrics, 1.0)
    units = np.arange(len(which)) if people is None else np.unique(people[which], return_inverse=True)[1]
    count = int(units.max()) + 1
    observed = one.swapped(other, which, np.zeros((1, len(which))))
    extreme, tried = dict.fromkeys(one.metrics, 0), 0
    for swaps in _flips(count, flips):
        own, theirs = one.swapped(other, which, swaps[:, units])
        tried += len(swaps)
        for name in one.metrics:
            least = np.abs(observed[0][name] - observed[1][name]) * (1 - 1e-9) - 1e-12
            extreme[name] += int((~(np.abs(own[name] - theirs[name]) < least)).sum())
    sampled = count > EXACT
    found = {name: (hits + sampled) / (tried + sampled) for name, hits in extreme.items()}
    if people is None:
        found |= {name: mcnemar(right, other.hits[name]) for name, right in one.hits.items()}
    return found


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """The p-value of McNemar's exact test (1947): are two variants right, `[N]`, on equally many faces?"""
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    if only_one + only_other == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(only_one, only_other), only_one + only_other, 0.5)))


def wilson(right: int, n: int) -> Interval:
    """Wilson's 95% interval of a share; scipy's `proportion_ci` works out a p-value each time besides."""
    middle, half = right + Z**2 / 2, Z * np.sqrt(right * (n - right) / n + Z**2 / 4)
    low, high = (middle - half) / (n + Z**2), (middle + half) / (n + Z**2)
    return (0.0 if right == 0 else float(low)), (1.0 if right == n else float(high))


def blocks_of_draws(
    n: int, people: np.ndarray | None = None, which: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """How often each of `n` faces is in each of `RESAMPLES` draws, of faces or of the persons on them.

    Yields:
        Float `[R, n]`, or only the columns of the faces `which`, a mask.
    """
    times, rows = _times_drawn(n if people is None else int(people.max(initial=-1)) + 1), _rows(n)
    columns = np.arange(n) if people is None else people
    for start in range(0, RESAMPLES, rows):
        yield times[start : start + rows, columns if which is None else columns[which]].astype(float)


@lru_cache(maxsize=4)  # all variants of a study answered the same few sets of faces
def _times_drawn(n: int) -> np.ndarray:
    """How often each of `n` faces is in each draw of `n`: uint8 `[RESAMPLES, n]`."""
    random, times, rows = np.random.default_rng(SEED), [], _rows(n)
    for start in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - start)
        faces = random.integers(n, size=(count, n), dtype=np.int32) + np.arange(count)[:, None] * n
        times.append(np.bincount(faces.ravel(), minlength=count * n).reshape(count, n).astype(np.uint8))
    return np.concatenate(times)


def _rows(n: int) -> int:
    """How many draws of `n` faces are held in memory at once."""
    return max(1, AT_ONCE // max(n, 1))


def _flips(count: int, most: int) -> Iterator[np.ndarray]:
    """Which of `count` faces are swapped: blocks of float `[P, count]`, all ways or random ones."""
    if count <= EXACT:
        yield (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(float)
        return
    random, rows = np.random.default_rng(SEED), _rows(count)
    for start in range(0, most, rows):
        bits = random.integers(256, size=(min(rows, most - start), -(-count // 8)), dtype=np.uint8)
        yield np.unpackbits(bits, axis=1, count=count).astype(float)


def sampled(
    parts: Sequence[Tally], n: int, people: np.ndarray | None = None, which: np.ndarray | None = None
) -> Sample:
    """The metrics of `n` faces and of draws, from what they add; `which`: of a group of them, a mask.

    A draw is one of all faces, so the size of a group varies from draw to draw, as it would from one data
    set to another.
    """
    if which is not None:
        parts = [part.take(which) for part in parts]
    values = score(parts).values
    draws: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for times in blocks_of_draws(n, people, which) if values else ():
        for part in parts:
            for name, found in part.of(times, drawn=True).items():
                draws.setdefault(name, []).append(found)
    asked = {metric: part.asked for part in parts for metric in part.metrics}
    drawn = {name: np.concatenate(draws[name]) for name in values}
    if which is not None:
        n, people = int(which.sum()), None if people is None else people[which]
    return Sample(values, drawn, n, asked, parts, people)


def people_of(table: pd.DataFrame) -> np.ndarray | None:
    """A number a person from 0 on, by the column `identity`; a face of nobody known is a person of its own.

    None where nobody is known to be on two faces.
    """
    if "identity" not in table:
        return None
    named, alone = table["identity"].astype(object), pd.Series(range(len(table)), table.index)
    codes = pd.factorize(named.where(named.notna(), alone.map(lambda row: ("", row))))[0]
    return codes if len(np.unique(codes)) < len(codes) else None


def middle(values: np.ndarray, covered: float = 1 - LEVEL) -> Interval:
    """The interval that holds the middle share of some draws."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - covered) / 2, (1 + covered) / 2])
    return float(low), float(high)


@lru_cache(maxsize=1000)
def _wider(n: int) -> float:
    """How much further from the centre Student's t has draws of `n` faces, which are too near."""
    return float(special.stdtrit(n - 1, 1 - LEVEL / 2) / Z * np.sqrt(n / (n - 1))) if n > 1 else 1.0


def _reaching(draws: np.ndarray, reach: float, covered: float) -> Interval:
    """An interval that allows for faces like none of the sample's.

    Draws know only of the changed answers that the sample has; where it has none, their interval is a point,
    whatever the number of faces. One more event than was seen, exponentially distributed, makes the limits
    those of a Poisson count: of none in n, 3.0 / n at 95%.
    """
    more = _exponential(len(draws)) * reach
    return middle(draws - more, covered)[0], middle(draws + more, covered)[1]


@lru_cache(maxsize=4)
def _exponential(n: int) -> np.ndarray:
    """The quantiles `[n]` of the exponential distribution, in random order."""
    return np.random.default_rng(SEED).permutation(-np.log1p(-(np.arange(n) + 0.5) / n))


def _detectable(draws: np.ndarray, reach: float, n: int, most: float) -> float | None:
    """The loss c that solves c = z * (error of a change by c), where errors grow as more answers change.

    With k = z**2, that is c**2 = k * (error**2 + reach * c); of no changed answer, k = 7.8 faces.
    """
    k = (Z + special.ndtri(POWER)) ** 2
    least = float(k * reach + np.sqrt((k * reach) ** 2 + 4 * k * np.nanvar(draws))) / 2
    return least if n >= FEWEST_DISCORDANT and least <= most else None
