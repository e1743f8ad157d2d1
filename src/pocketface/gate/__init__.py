"""The gate: a study's figures against its baseline.

    verdict = check(study, root)               # reads results/results.parquet
    verdict.passed, verdict.text(), verdict.markdown(), verdict.junit()
    print(update(study, root))                 # rewrites the baseline, returns what changed as a diff

A jump for the better that nobody explained is as suspicious as one for the worse, so both fail: when a change
is meant, `pocketface check --update` takes the new figures over, and the diff is reviewed like code.

`baseline` reads and writes `baselines/STUDY.yaml` and its rules, `compare` applies them, `verdict` tells.
"""

from pathlib import Path

from pocketface.gate.baseline import NoBaseline, read_baseline, read_figures
from pocketface.gate.baseline import update as update_baseline
from pocketface.gate.compare import compare
from pocketface.gate.verdict import Verdict
from pocketface.study import Study

__all__ = ["NoBaseline", "Verdict", "check", "update"]


def check(study: Study, root: Path = Path()) -> Verdict:
    """Compares.

    Raises:
        NoBaseline: there is none yet.
        PocketfaceError: there are no results, or they or the baseline is damaged.
    """
    now = read_figures(root)
    return Verdict(study.study, tuple(compare(read_baseline(study.study, root, now), now)))


def update(study: Study, root: Path = Path()) -> str:
    """Takes the results over into the baseline, see `pocketface.gate.baseline.update`."""
    return update_baseline(study.study, root)
