"""How often the verdicts of `docs/statistics.md` err, and what they find.

    python benchmarks/verdicts.py                  # all rows, 6 minutes of one core
    python benchmarks/verdicts.py --trials 200

Two variants answer the same simulated faces. Under the null they are alike: each errs independently of the
other on some faces beside those on which both err. A row counts how often p is below 5%, so that they would
be called `worse` or `better` (at most 5.5%), how often `equivalent` where one is worse by exactly the margin
(at most 5.5%), and how often a loss of the size that a change calls `detectable` is found (the power, meant
to be 80%).
"""

import argparse
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.optimize import brentq

from pocketface.core.labels import GENDERS
from pocketface.metrics.confidence import LEVEL, Change, paired, sampled, sign_flip
from pocketface.metrics.measures import Sums, of_errors
from pocketface.metrics.registry import METRICS
from pocketface.metrics.settings import Margins

GENDER = ("gender_accuracy", "gender_macro_f1", "gender_balanced_accuracy")
METRIC = (*GENDER, "age_mae")
SIZES = (18, 200, 3000)
FEMALE = 0.15
"""Share of the rarer class, where balanced accuracy and F1 differ most from accuracy."""
WRONG = 0.1
"""Share of faces that both variants answer wrong."""
DISCORDANT = 0.02
"""Share of faces that only one of two like variants answers wrong; as often the other."""
RARELY = 0.002
"""The same where one is worse by the margin: with more, no interval of 3,000 faces fits into the margins."""
STEP = 0.4
"""Years, standard deviation of what each variant adds to an age; that of int8 is about as large."""


def simulate(
    random: np.random.Generator, n: int, metric: str, worse: float, discordant: float = DISCORDANT
) -> tuple[Sums, Sums]:
    """What the faces add for `(one, other)`; `one` is worse by `worse`, in the metric's unit."""
    if metric == "age_mae":
        error = np.where(random.random(n) < 0.5, -1, 1) * (6 + random.exponential(3, n))
        errors = [error + random.normal(0, STEP, n) + more * np.sign(error) for more in (worse, 0.0)]
        return tuple(of_errors(metric, np.abs(one)) for one in errors)
    female, both = random.random(n) < FEMALE, random.random(n) < WRONG
    extra = extra_wrong(metric, worse, discordant)
    wrong = [both | (random.random(n) < share) for share in (discordant + extra, discordant)]
    cells = [np.eye(4)[2 * female + (female ^ missed)] for missed in wrong]
    metrics = {name: METRICS[name.removeprefix("gender_")] for name in GENDER}
    hits = [{"gender_accuracy": ~missed} for missed in wrong]
    pairs = zip(hits, cells, strict=True)
    return tuple(Sums(np.ones(n, bool), metrics, GENDERS, hit, one) for hit, one in pairs)


@cache
def extra_wrong(metric: str, worse: float, discordant: float) -> float:
    """The share of all faces that a variant errs on besides, so that its metric is lower by `worse`."""
    if not worse:
        return 0.0
    compute = METRICS[metric.removeprefix("gender_")].compute

    def expected(extra: float) -> float:
        wrong = 1 - (1 - WRONG) * (1 - discordant - extra)
        cells = np.outer([1 - FEMALE, FEMALE], [1 - wrong, wrong])
        return float(compute(np.r_[cells[0], cells[1][::-1]]))

    if expected(0) - expected(1) < worse:
        return 1.0
    return float(brentq(lambda extra: expected(0) - expected(extra) - worse, 0, 1))


def false_findings(n: int, metrics: Sequence[str], trials: int, discordant: float = DISCORDANT) -> np.ndarray:
    """Per metric the share of pairs that are alike in which p is below 5%."""
    random = np.random.default_rng(n)
    pairs = (simulate(random, n, metrics[0], 0, discordant) for _ in range(trials))
    tests = (sign_flip(*pair) for pair in pairs)
    return np.mean([[test[metric] < LEVEL for metric in metrics] for test in tests], axis=0)


def changes(n: int, metric: str, trials: int, worse: float, discordant: float = DISCORDANT) -> list[Change]:
    """Changes of pairs of which the one is worse."""
    random = np.random.default_rng([n, METRIC.index(metric)])
    pairs = (simulate(random, n, metric, worse, discordant) for _ in range(trials))
    samples = ([sampled([one.only([metric])], n) for one in pair] for pair in pairs)
    return [paired(*pair)[metric] for pair in samples]


def margin_of(metric: str) -> float:
    """Of the default margins."""
    return METRICS[metric.partition("_")[2]].margin(Margins())


def equivalent(found: Sequence[Change]) -> float:
    """The share of changes that is called so."""
    return float(np.mean([change.verdict == "equivalent" for change in found]))


def found(losses: Sequence[Change]) -> float:
    """The share of losses that a test at 5% shows."""
    return float(np.mean([change.p < LEVEL and change.loss > 0 for change in losses]))


def row(metric: str, n: int, trials: int, false: float) -> str:
    """One of the table."""
    at_margin = equivalent(changes(n, metric, trials // 4, margin_of(metric), RARELY))
    alike = [change.detectable or np.inf for change in changes(n, metric, 20, 0)]
    least, power, shown = float(np.median(alike)), "", "none"
    if np.isfinite(least):
        power = f"{100 * found(changes(n, metric, trials // 10, least)):.0f}"
        shown = f"{least:.2f} years" if metric == "age_mae" else f"{100 * least:.1f} points"
    return f"| `{metric}` | {n} | {100 * false:.1f} | {100 * at_margin:.1f} | {shown} | {power} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    asked = parser.parse_args()
    print("| metric | faces | p < 5%, alike (%) | equivalent, at the margin (%) | detectable | found (%) |")
    print("|---|--:|--:|--:|--:|--:|")
    for n in asked.sizes:
        for metrics in (GENDER, METRIC[-1:]):
            false = false_findings(n, metrics, asked.trials * (4 if metrics == GENDER else 1))
            for metric, share in zip(metrics, false, strict=True):
                print(row(metric, n, asked.trials, share), flush=True)


if __name__ == "__main__":
    main()
