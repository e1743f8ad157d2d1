"""The gate: a study's answers against those of its baseline, face by face.

    verdict = check(study, root)               # baselines/STUDY.yaml and baselines/STUDY/MODEL.parquet
    verdict.passed, verdict.text(), verdict.markdown(), verdict.junit()
    update(study, root)                        # takes the answers of now over; returns what it accepts

`answers` reads what variants answered, `baseline` keeps it, `compare` applies the rules, `verdict` says what
was found.
"""

from pathlib import Path

from pocketface.gate import answers
from pocketface.gate.answers import Incomparable
from pocketface.gate.baseline import Baseline, NoBaseline, Rules, baseline_path
from pocketface.gate.compare import compare, compare_tables
from pocketface.gate.verdict import Verdict
from pocketface.study import Study

__all__ = ["Incomparable", "NoBaseline", "Verdict", "check", "check_tables", "update"]


def check(study: Study, root: Path = Path()) -> Verdict:
    """Compares what `dvc repro` measured with the baseline.

    Raises:
        NoBaseline: there is none yet.
        PocketfaceError: nothing was measured, or that or the baseline is damaged.
    """
    was = Baseline.read(study.study, root)
    now = Baseline.of_outs(study, root, was.rules)
    path = baseline_path(study.study)
    try:
        findings = tuple(compare(was, now, frozenset(study.fetched)))
    except Incomparable as error:
        told = f"what was measured {error}; if that is meant: `pocketface check --update`"
        raise Incomparable(f"{path}: {told}") from None
    return Verdict(study.study, findings, str(path))


def check_tables(baseline: Path, now: Path, rules: Rules | None = None) -> Verdict:
    """Compares two tables of answers, of any origin; see `pocketface.gate.answers.read`.

    Raises:
        PocketfaceError: one is missing or is no such table, or they have no face in common.
    """
    was, is_ = answers.read(baseline), answers.read(now)
    try:
        return Verdict(now.stem, tuple(compare_tables(was, is_, rules or Rules())), str(baseline))
    except Incomparable as error:
        raise Incomparable(f"{now}: {error} ({baseline})") from None


def update(study: Study, root: Path = Path()) -> Verdict | None:
    """Takes the answers of now over into the baseline; its rules stay, or start with the defaults.

    Returns:
        What it accepts: the findings against the earlier baseline; None where there was none that can be
            compared with.

    Raises:
        PocketfaceError: nothing was measured, or the rules are damaged.
    """
    try:
        verdict: Verdict | None = check(study, root)
    except (NoBaseline, Incomparable):
        verdict = None
    rules = Rules.read(study.study, root)
    Baseline.of_outs(study, root, rules).write(study.study, root)
    return verdict
