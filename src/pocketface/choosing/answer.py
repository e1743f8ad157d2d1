"""The choice in words: what to take and why, what the smallest costs, and all that was considered."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketface.choosing.rule import Candidate, Choice, Pick
from pocketface.metrics.naming import change, label_of, short, shown, size
from pocketface.results.table import Row


def print_choice(choice: Choice, console: Console) -> None:
    """Prints the `lines`, and a table of every variant that answers the task."""
    for line in lines(choice):
        console.print(escape(line), highlight=False, soft_wrap=True)
    candidates = [one for pick in choice.picks for one in pick.candidates]
    metric = next((label_of(row.name) for one in candidates if (row := one.row(choice.task))), "")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for title in ("variant", metric, "change", "verdict", "size", "latency", ""):
        words = title in (metric, "verdict", "")
        table.add_column(title, no_wrap=not words, min_width=8 if words else None)
    for one in candidates:
        table.add_row(*map(escape, _cells(choice, one)))
    console.print(table)


def lines(choice: Choice) -> list[str]:
    """What to take, why, and the smallest with what it costs."""
    take = choice.take
    if take is None:
        return [f"{choice.task}: no variant keeps within the limits"]
    pick, row = choice.picks[0], take.row(choice.task)
    facts = [size(take.size_bytes), latency_of(take)]
    if row:
        facts.insert(
            0, f"{label_of(row.name)} {shown(row.name, row.value)} on {row.n} faces of {row.dataset}"
        )
    said = [f"{choice.task}: take {take.name}: {', '.join(filter(None, facts))}", f"  {pick.why}"]
    if pick.smallest and pick.smallest is not take:
        row = pick.smallest.row(choice.task)
        said.append(f"  smallest: {pick.smallest.name}, {_smallest(pick.smallest, [row] if row else [])}")
    return said


def advice(pick: Pick) -> str:
    """What to take of a model and why, and the smallest with what it costs, in Markdown."""
    if pick.take is None:
        return f"{pick.why[0].upper()}{pick.why[1:]}."
    said = f"Take `{pick.take.level}`: {pick.why}."
    if pick.smallest is None or pick.smallest is pick.take:
        return f"{said} It is the smallest, too."
    return f"{said} Smallest: `{pick.smallest.level}`, {_smallest(pick.smallest, pick.smallest.mains)}."


def _smallest(one: Candidate, rows: Sequence[Row]) -> str:
    """Its size, and how each metric changes against float32's."""
    costs = [f"{label_of(row.name)} {', '.join(told)}" for row in rows if (told := _against(row))]
    return ": ".join(filter(None, (size(one.size_bytes), "; ".join(costs))))


def latency_of(one: Candidate) -> str:
    """Its latency, as printed; nothing where it was not measured."""
    return "" if one.latency_ms is None else f"{one.latency_ms:.3g} ms"


def _against(row: Row) -> list[str]:
    """The change against float32, and its verdict, `cannot tell` with the smallest change that would show;
    nothing of float32 itself.
    """
    if row.change is None:
        return []
    could = "" if row.could_show is None else f", could show {shown(row.name, row.could_show)}"
    return [change(row.name, row.change, 0.0), f"{row.verdict}{could}"]


def _cells(choice: Choice, one: Candidate) -> list[str]:
    row = one.row(choice.task)
    value = [shown(row.name, row.value), *(_against(row) or ["", ""])] if row else [""] * 3
    why = "take" if one is choice.take else short(one.excluded)
    return [one.name, *value, size(one.size_bytes), latency_of(one), why]
