"""A choice in words: what to take, out of how many, what was better but too dear, what is only noise."""

from collections.abc import Sequence

from pocketface.choosing.evidence import Evidence
from pocketface.choosing.rule import Choice, Excluded, Measured, facts_of, name_of
from pocketface.evaluation.confidence import Change
from pocketface.reporting.quantities import change, loss, quantity_of, spread

SHOWN = 5
"""Excluded variants that an answer names of a kind, at most."""


def answer(choice: Choice, evidence: Evidence) -> str:
    """Lines for a person; the first one says what to take."""
    lines, chosen = [str(choice), _rule(choice)], choice.variant
    excluded = [one for one in choice.excluded if one.variant.reason is None]
    better = [one for one in excluded if chosen and _better(one.variant, chosen, choice.figure)]
    lines += _listed("better, but out", better, choice, evidence)
    lines += _listed(
        "out, and no better" if chosen else "out", [o for o in excluded if o not in better], choice, None
    )
    lines += _not_running([one for one in choice.excluded if one not in excluded])
    if chosen and len(choice.candidates) > 1:
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


def _listed(title: str, some: Sequence[Excluded], choice: Choice, evidence: Evidence | None) -> list[str]:
    """A line for each of the first ones, and how many more there are; with `evidence`, also how far it is."""
    lines = []
    for one in some[:SHOWN]:
        far = _against(choice, evidence, one.variant, choice.variant) if evidence and choice.variant else ""
        lines.append(f"{title}: {_told(choice, one.variant)}: {one.why}{far}")
    return lines + ([f"{title}: {len(some) - SHOWN} more"] if len(some) > SHOWN else [])


def _not_running(some: Sequence[Excluded]) -> list[str]:
    """A line a reason."""
    by_reason: dict[str, list[str]] = {}
    for one in some:
        by_reason.setdefault(" ".join(one.why.split()), []).append(name_of(one.variant))
    return [f"out: {', '.join(names)}: {why}" for why, names in by_reason.items()]


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
    sure = spread(figure, found.low, found.high, signed=True)
    return f"{change(figure, found.change, 0.0)} (95%: {sure}), {found.verdict}"
