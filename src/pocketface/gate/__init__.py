"""The gate: a study's answers against those of its baseline, face by face.

`answers` reads what variants answered, `baseline` keeps it, `compare` applies the rules, `verdict` says what
was found.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pocketface.core.errors import PocketfaceError, shown
from pocketface.gate import answers
from pocketface.gate.answers import Incomparable
from pocketface.gate.baseline import Baseline, NoBaseline, Rules, baseline_path
from pocketface.gate.compare import compare, compare_tables, limits
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
    return _compared(study, was, Baseline.of_outs(study, root, was.rules))


def _compared(study: Study, was: Baseline, now: Baseline) -> Verdict:
    path = baseline_path(study.study)
    try:
        return Verdict(study.study, tuple(compare(was, now, frozenset(study.fetched))), str(path))
    except Incomparable as error:
        told = f"what was measured {error}; if that is meant: `pocketface check --update`"
        raise Incomparable(f"{path}: {told}") from None


def check_tables(baseline: Path, now: Path) -> Verdict:
    """Compares two tables of answers, of any origin; see `pocketface.gate.answers.read`.

    Raises:
        PocketfaceError: one is missing or is no such table, or they have no face in common.
    """
    was, is_ = answers.read(baseline), answers.read(now)
    try:
        found = tuple(
            replace(one, where=shown(one.where), rule=shown(one.rule), text=shown(one.text))
            for one in compare_tables(was, is_, Rules())
        )
    except Incomparable as error:
        raise Incomparable(f"{now}: {error} ({baseline})") from None
    return Verdict(now.stem, found, str(baseline), f"make {now.name} the baseline")


def update(study: Study, root: Path = Path(), tell: Callable[[str], None] = print) -> Verdict:
    """Takes the answers of now over into the baseline; its rules stay, or start with the defaults. What is
    accepted is told in the words of `check`, before anything is written.

    Returns:
        The findings of the limits, which it does not lift.

    Raises:
        PocketfaceError: nothing was measured, the earlier baseline is damaged, or this one cannot be written.
    """
    was: Baseline | NoBaseline
    try:
        was = Baseline.read(study.study, root)
    except NoBaseline as none:
        was = none
    now = Baseline.of_outs(study, root, was.rules)
    if isinstance(was, NoBaseline):
        tell(f"{baseline_path(study.study)}: the first with answers, of {len(now.variants)} variants")
    else:
        try:
            tell(_compared(study, was, now).text())
        except Incomparable as error:
            tell(str(error))
    try:
        now.write(study.study, root)
    except OSError as error:
        raise PocketfaceError(f"{baseline_path(study.study)}: cannot be written ({error.strerror})") from None
    broken = tuple(limits(now, frozenset(study.fetched), {}))
    return Verdict(study.study, broken, str(baseline_path(study.study)))
