"""The report as one HTML file: styles, script and pictures inside, nothing fetched, readable on a phone and
on paper.

`template/` holds the page (Jinja), its style and its script. Pictures are SVG whose inks are the page's own
colours, so they follow the reader's light or dark scheme.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from pocketface.choosing.answer import advice
from pocketface.choosing.rule import Pick
from pocketface.core.files import git_revision
from pocketface.metrics.naming import label_of, size
from pocketface.report import plots, tables, text
from pocketface.report.cells import Cell, Row, Section, Table
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
NEEDLESS = (
    r"<!--.*?-->",
    r" transform=\"rotate\(-0 [^\"]*\"",
    r"\bclip-path=\"[^\"]*\"",
    r"; stroke-linecap: \w+|; stroke-linejoin: \w+|font-family: 'DejaVu Sans'; ",
    r"<defs>\s*<style.*?</style>\s*</defs>",
)
"""Of what matplotlib writes, what the page says itself or does without."""
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
    jinja.filters["ticked"] = ticked
    latencies = tables.latencies(results)
    page = jinja.get_template("page.html.j2").render(
        study=results.study.study,
        measured_on=text.measured_on(results),
        made=text.made(results, git_revision(root)),
        take=tables.take(results, picks),
        first=first,
        story=svg(first.plot, first.name) if first else None,
        overview=svg(drawn["overview"], "overview") if "overview" in drawn else None,
        models=[
            _model(results, picks[model], drawn, answers)
            for model in results.study.models
            if results.running(model)
        ],
        unavailable=tables.unavailable(results),
        head=text.head_lines(results),
        glossary=text.GLOSSARY,
        verdicts=text.VERDICTS,
        ethics=text.ETHICS,
        groups_note=text.GROUPS,
        latencies=latencies,
        timed_on=text.timed_on(results) if latencies else "",
        faces=tables.faces(results),
        copies=f"{tables.persons(results)} {tables.copies(results)}".strip(),
        about_models=tables.models(results),
        licences=tables.licences(results),
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
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), plots.laid_out(figure):
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(NO_METADATA))
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    parts = r"figure|axes|patch|line2d|text|legend|matplotlib\.axis|xtick|ytick|LineCollection|PathCollection"
    drawn = re.sub(rf' id="(?:{parts})_\d+"', "", drawn)
    for needless in NEEDLESS:
        drawn = re.sub(needless, "", drawn)
    drawn = re.sub(r"(\d+\.\d)\d+(?=[ \"])", r"\1", drawn)
    drawn = re.sub(r"\s+", " ", drawn).replace(" <", "<").replace("> ", ">")
    drawn = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(
        r'(<svg[^>]*?) width="([\d.]+)pt"', r'\1 style="max-width:\2pt" aria-hidden="true"', drawn, count=1
    )
    for ink, colour in INKS.items():
        drawn = drawn.replace(f": {ink}", f": {colour}")
    return Markup(re.sub(r"</?g ?/?>", "", drawn))


def sheeted(page: str) -> str:
    """The page with the styles of its pictures' elements, which repeat by the hundred, in its style sheet."""
    classes: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f'{found[1]} class="{classes.setdefault(found[2], f"s{len(classes)}")}"'

    page = re.sub(r'(<(?:path|use|text)[^>]*?) style="([^"]*)"', named, page)
    sheet = "".join(f".{name} {{{style}}}\n" for style, name in classes.items())
    return page.replace("</style>", f"\n{sheet}</style>", 1)


def _model(
    results: Results,
    picked: Pick,
    drawn: Mapping[str, Figure],
    answers: Mapping[tuple[str, str, str], pd.DataFrame],
) -> dict[str, Any]:
    model = picked.model
    own, *others = results.datasets(model)
    card = results.of(model)[0].card
    first = results.running(model)[0]
    row = first.row(f"{own}.faces")
    return {
        "name": model,
        "card": card,
        "dataset": own,
        "n": max((one.n or 0 for one in map(first.row, results.table.mains(model)) if one), default=0),
        "split": row.text if row else "",
        "advice": advice(picked),
        "levels": tables.levels(results, model, picked),
        "others": [(name, tables.levels(results, model, picked, name)) for name in others],
        "every": [(name, tables.every_metric(results, model, name)) for name in (own, *others)],
        "certainty": tables.certainty(results, model),
        "tradeoff": _drawn(drawn, f"{model}/tradeoff"),
        "confusions": list(_confusions(results, picked, answers)),
        "groups": [
            {
                "title": label_of(name),
                "picture": _drawn(drawn, f"{model}/groups_{name.partition('.')[2]}"),
                "tables": [
                    (f"by {by.replace('_', ' ')}", tables.groups(results, model, name, by, picked))
                    for by in tables.groupings(results, model, name)
                ],
            }
            for name in tables.grouped(results, model)
            if tables.groupings(results, model, name)
        ],
        "facts": _facts(results, model),
        "needs": tables.needs(results, model),
        "files": _files(results, model),
    }


def _drawn(drawn: Mapping[str, Figure], name: str) -> Markup | None:
    return svg(drawn[name], name.replace("/", "_")) if name in drawn else None


def _confusions(
    results: Results, picked: Pick, answers: Mapping[tuple[str, str, str], pd.DataFrame]
) -> Iterator[dict[str, Any]]:
    """Per head, of float32 and the level to take: the labels, and rows of (share of the true class,
    count).
    """
    shown = tables.shown_variants(results, picked.model, picked)
    for head, output in results.of(picked.model)[0].card.outputs.items():
        matrices = [
            {"level": variant.level, "rows": _shares(counts_of(answers[key], output.labels))}
            for variant in shown
            if (key := (picked.model, variant.level, head)) in answers
        ]
        if matrices:
            yield {"head": head, "labels": output.labels, "matrices": matrices}


def counts_of(pair: pd.DataFrame, labels: Sequence[str]) -> np.ndarray:
    """Numbers of faces `[K, K]`: rows are the `actual` class, columns the `predicted` one."""
    counts = pd.crosstab(pair["actual"], pair["predicted"])
    return counts.reindex(index=list(labels), columns=list(labels), fill_value=0).to_numpy()


def _shares(matrix: np.ndarray) -> list[list[tuple[float, int]]]:
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return [
        list(zip(shares.tolist(), row.tolist(), strict=True))
        for shares, row in zip(matrix / totals, matrix, strict=True)
    ]


def _facts(results: Results, model: str) -> list[tuple[str, str]]:
    """The model card as lines: name -> what it says."""
    card = results.of(model)[0].card
    answers = [f"{head} ({output.unit or ', '.join(output.labels)})" for head, output in card.outputs.items()]
    options = ", ".join(f"{name} {value}" for name, value in card.options.items())
    training = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in card.training.items()
        if not isinstance(value, dict | list) and value is not None
    )
    window = f"{card.input.size} x {card.input.size} x {card.input.channels}, raw 0..255 pixels"
    lines = {
        "Answers": "; ".join(answers),
        "Input": window,
        "Architecture": f"{card.architecture} ({options})" if options else card.architecture,
        "Size": f"{card.parameters:,} parameters, {card.macs / 1e6:.1f} M multiply-adds a face",
        "Trained on": card.dataset,
        "Training": training,
        "Terms": card.licence,
    }
    return [(name, line) for name, line in lines.items() if line]


def _files(results: Results, model: str) -> Table:
    rows: list[Row] = [
        [
            v.level,
            f"variants/{model}/{v.level}/model.tflite",
            v.card.sha256 or "",
            Cell(size(v.card.size_bytes), v.card.size_bytes),
        ]
        for v in results.running(model)
    ]
    return Table(["level", "file", "sha256", "size"], rows, text_columns=3)
