"""The report as one HTML file that fetches nothing, readable on a phone and on paper.

`template/` holds the page, which asks `tables` and `text` for what it shows, its style and its script.
Pictures are SVG in the page's own colours, so they follow the reader's light or dark scheme.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from pocketface.choosing.answer import advice
from pocketface.choosing.rule import Pick
from pocketface.core.files import git_revision
from pocketface.metrics.naming import label_of
from pocketface.report import plots, tables, text
from pocketface.report.cells import Section
from pocketface.report.outs import Results

INKS = {
    plots.INK: "var(--ink)",
    plots.GREY: "var(--dim)",
    plots.FAINT: "var(--line)",
    plots.PALE: "var(--bar)",
    "#ffffff": "var(--paper)",
    "#000000": "var(--ink)",
}
"""Colour in a picture -> the page's colour."""

WIDTH = 8.4
"""Inches of a picture at most."""
PARTS = r"figure|axes|patch|line2d|text|legend|matplotlib\.axis|xtick|ytick|LineCollection|PathCollection"
TRIMMED = (
    (r"(?s)^.*?(?=<svg)|<metadata>.*?</metadata>", ""),
    (rf' id="(?:{PARTS})_\d+"', ""),
    (r"<!--.*?-->", ""),
    (r" transform=\"rotate\(-0 [^\"]*\"", ""),
    (r"\bclip-path=\"[^\"]*\"", ""),
    (r"; stroke-linecap: \w+|; stroke-linejoin: \w+|font-family: 'DejaVu Sans'; ", ""),
    (r"<defs>\s*<style.*?</style>\s*</defs>", ""),
    (r"(\d+\.\d)\d+(?=[ \"][^<>]*>)", r"\1"),  # within a tag
    (r"\s+", " "),
    (r" <", "<"),
    (r"> ", ">"),
    (r'(<svg[^>]*?) height="[^"]*"', r"\1"),
    (r'(<svg[^>]*?) width="([\d.]+)pt"', r'\1 style="max-width:\2pt" aria-hidden="true"'),
    *((f": {ink}", f": {colour}") for ink, colour in INKS.items()),
    (r"</?g ?/?>", ""),
)
"""Pattern and what goes in its place, in turn: what the page says itself, or does without."""
NO_METADATA = ("Creator", "Date", "Format", "Type")


def render(
    results: Results,
    picks: Mapping[str, Pick],
    drawn: Mapping[str, Figure],
    answers: Mapping[tuple[str, str, str], pd.DataFrame],
    root: Path = Path(),
    first: Section | None = None,
) -> str:
    """The page.

    Args:
        picks: model -> which level to take.
        drawn: the plots, as `pocketface.report.report` names them.
        answers: (model, level, head) -> columns `actual`, `predicted`.
        root: of the repository, whose commit is named.
        first: the section below the first table.
    """
    jinja = Environment(
        loader=PackageLoader("pocketface.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters |= {"ticked": ticked, "svg": svg}
    page = jinja.get_template("page.html.j2").render(
        results=results,
        picks=picks,
        drawn=drawn,
        first=first,
        commit=git_revision(root),
        confusions={model: list(_confusions(results, pick, answers)) for model, pick in picks.items()},
        tables=tables,
        text=text,
        advice=advice,
        label_of=label_of,
    )
    return sheeted(page)


def ticked(words: str) -> Markup:
    """Text in which `this` is set as code and *this* is stressed, as in Markdown; all else is escaped."""
    escaped = str(Markup.escape(words))
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", re.sub(r"`(.+?)`", r"<code>\1</code>", escaped)))


def svg(figure: Figure, name: str) -> Markup:
    """A figure as an element of the page, without its titles, in the page's inks; the figure is changed. The
    `name` distinguishes its elements from those of other pictures.
    """
    wide, high = figure.get_size_inches()
    figure.set_size_inches(min(WIDTH, wide), high)
    figure.suptitle("")
    buffer, salt = io.StringIO(), name.replace("/", "_")
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), plots.laid_out(figure):
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(NO_METADATA))
    drawn = buffer.getvalue()
    for pattern, instead in TRIMMED:
        drawn = re.sub(pattern, instead, drawn)
    return Markup(drawn)


def sheeted(page: str) -> str:
    """The page with the styles of its pictures' elements, which repeat by the hundred, in its style sheet."""
    classes: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f'{found[1]} class="{classes.setdefault(found[2], f"s{len(classes)}")}"'

    page = re.sub(r'(<(?:path|use|text)[^>]*?) style="([^"]*)"', named, page)
    sheet = "".join(f".{name} {{{style}}}\n" for style, name in classes.items())
    return page.replace("</style>", f"\n{sheet}</style>", 1)


def _confusions(
    results: Results, picked: Pick, answers: Mapping[tuple[str, str, str], pd.DataFrame]
) -> Iterator[tuple[str, str, Sequence[str], list[list[int]]]]:
    """Of float32 and the level to take: head, level, labels, and the counts, see `counts_of`."""
    shown = tables.shown_variants(results, picked.model, picked)
    for head, output in results.of(picked.model)[0].card.outputs.items():
        for variant in shown:
            if (key := (picked.model, variant.level, head)) in answers:
                counts = counts_of(answers[key], output.labels)
                yield head, variant.level, output.labels, counts.tolist()


def counts_of(pair: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Numbers of faces `[K, K]`: rows are the `actual` class, columns the `predicted` one."""
    counts = pd.crosstab(pair["actual"], pair["predicted"])
    return counts.reindex(index=list(labels), columns=list(labels), fill_value=0).to_numpy()
