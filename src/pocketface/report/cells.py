"""A table as data, and a section, which a page shows as Markdown or as HTML."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # the gate writes tables without it


@dataclass(frozen=True)
class Cell:
    """What a table says in one place.

    Attributes:
        text: as printed.
        sort: the number that a column is sorted by, where the text does not begin with it.
        tone: a verdict; `take` of the variant to take; `total` in a last row.
        href: where the text leads.
    """

    text: str
    sort: float | None = None
    tone: str = ""
    href: str | None = None

    @property
    def markdown(self) -> str:
        """For a Markdown table: what Markdown or HTML would read is escaped, line breaks become spaces."""
        text = re.sub(r"([\\|*`]|(?<!\w)_|_(?!\w))|(?<=\])(?=\()", r"\\\1", " ".join(self.text.split()))
        text = re.sub(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)", lambda one: html.escape(one[0]), text)
        if self.href:
            return f"[{text}]({self.href})"
        return f"**{text}**" if self.tone in ("total", "take") and text else text


Row = Sequence[Cell | str]


@dataclass(frozen=True)
class Table:
    """A header and rows; the first `text_columns` are words, the rest are numbers."""

    header: Sequence[str]
    rows: Sequence[Row]
    text_columns: int = 1

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows, every cell a `Cell`."""
        return [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]

    def markdown(self) -> str:
        """Words are set left, numbers right; nothing for a table without rows."""
        if not self.rows:
            return ""
        rule = [":--" if i < self.text_columns else "--:" for i in range(len(self.header))]
        lines = [[Cell(name).markdown for name in self.header], rule]
        lines += [[cell.markdown for cell in row] for row in self.cells]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(frozen=True)
class Section:
    """What a study's own script puts first into its report.

    Attributes:
        name: of the plot's file and of the section in the page.
        title: a sentence, the answer.
        text: paragraphs, in which `this` is code and *this* is stressed.
    """

    name: str
    title: str
    text: tuple[str, ...]
    table: Table
    plot: "Figure"
