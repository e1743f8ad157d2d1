"""A choice in words: what to take, out of how many, what was better but too dear, what is only noise."""

from collections.abc import Sequence

from pocketface.choosing.evidence import Evidence
from pocketface.choosing.rule import Choice, Excluded, Measured, facts_of, name_of
from pocketface.evaluation.confidence import Change
from pocketface.reporting.changes import verdict
from pocketface.reporting.quantities import change, loss, quantity_of, spread

SHOWN = 5
"""Excluded variants that an answer names, at most, of those that are better and of those that are not."""


def answer(choice: Choice, evidence: Evidence) -> str:
    """Lines for a person; the first one says what to take."""
    lines, chosen, excluded = [str(choice), _rule(choice)], choice.variant, choice.excluded
    if chosen is None:
        return "\n    ".join([*lines, *_listed("out", [_out(choice, one) for one in excluded])])
    better = [one for one in excluded if _better(one.variant, chosen, choice.figure)]
    lines += _listed(
        "better, but out",
        [f"{_out(choice, one)}{_against(choice, evidence, one.variant, chosen)}" for one in better[:SHOWN]],
        len(better),
    )
    lines += _listed("out, and no better", [_out(choice, one) for one in excluded if one not in better])
    if len(choice.candidates) > 1:
        second = choice.candidates[1]
        lines.append(f"runner-up: {_told(choice, second)}{_against(choice, evidence, second, chosen)}")
    return "\n    ".join(lines)


def _rule(choice: Choice) -> str:
    """How many were considered, and by what."""
    best = "highest" if quantity_of(choice.figure).better == "higher" else "lowest"
    within = f" and keep within {choice.limits}" if str(choice.limits) else ""
    return (
        f"of {_count(len(choice.candidates) + len(choice.excluded), choice.task)}, {len(choice.candidates)} "
        f"run{within}; the {best} {choice.figure} wins, of equal ones the smallest file"
    )


def _listed(title: str, told: Sequence[str], n: int | None = None) -> list[str]:
    """The first of `n` things, a line each, and how many more there are."""
    rest = (len(told) if n is None else n) - min(len(told), SHOWN)
    return [f"{title}: {one}" for one in told[:SHOWN]] + ([f"{title}: {rest} more"] if rest else [])


def _out(choice: Choice, one: Excluded) -> str:
    return f"{_told(choice, one.variant)}: {one.why}"


def _count(n: int, task: str) -> str:
    return f"{n} variants that answer {task}" if n != 1 else f"1 variant that answers {task}"


def _told(choice: Choice, variant: Measured) -> str:
    facts = facts_of(variant, choice.figure) if choice.figure in variant.figures else ""
    return f"{name_of(variant)} ({facts})" if facts else name_of(variant)


def _better(variant: Measured, chosen: Measured, figure: str) -> bool:
    value = variant.figures.get(figure)
    return value is not None and loss(figure, value - chosen.figures[figure]) < 0


def _against(choice: Choice, evidence: Evidence, variant: Measured, chosen: Measured) -> str:
    """How far a variant is from the chosen one, and whether that is noise."""
    found = evidence.difference(variant, chosen, choice.figure)
    if found is None:
        own, theirs = variant.figures[choice.figure], chosen.figures[choice.figure]
        return f"; {change(choice.figure, own, theirs)}, whether that is noise cannot be told from here"
    return f"; {_judged(choice.figure, found)}"


def _judged(figure: str, found: Change) -> str:
    words = {"noise": "which is noise", "real": "which is real", "negligible": "which is negligible"}
    sure = spread(figure, found.low, found.high, signed=True)
    return f"{change(figure, found.change, 0.0)} (95%: {sure}), {words[verdict(figure, found)]}"
