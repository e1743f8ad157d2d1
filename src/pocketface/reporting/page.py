"""The report as one HTML file: styles, script and pictures inside, nothing fetched, readable on a phone.

    Path("index.html").write_text(render(results, found, drawn, counts))

`template/` holds the page (Jinja), its style and its script. Pictures are SVG whose inks are the page's own
colours, so they follow the reader's light or dark scheme. No picture shows a face.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from pocketface.reporting import plots, quantization, tables
from pocketface.reporting.changes import BEARABLE, Compareds, change_of, effects, tone, verdict
from pocketface.reporting.quantities import change, label_of, shown, size, title_of
from pocketface.reporting.results import Results, Variant
from pocketface.reporting.tables import Cell, Row, Table
from pocketface.reporting.tradeoffs import SMALLEST, orders
from pocketface.reporting.words import ETHICS, GLOSSARY, GROUPS, NOISE, head_lines, timed_on

INKS = {
    plots.INK: "var(--ink)",
    plots.GREY: "var(--dim)",
    plots.FAINT: "var(--line)",
    plots.PALE: "var(--bar)",
    "#ffffff": "var(--paper)",
    "#000000": "var(--ink)",
}
"""Colour in a picture -> the page's colour."""

WIDTH = 5.2
"""Inches of a picture: on a phone, where it is scaled down, its letters are still legible."""

Counts = Mapping[tuple[str, str, str], np.ndarray]
"""(model, level, head) -> numbers of faces `[K, K]`, rows are the truth."""


def render(results: Results, found: Compareds, drawn: Mapping[str, Markup], counts: Counts) -> str:
    """The page.

    Args:
        results: the study's.
        found: see `pocketface.reporting.changes`.
        drawn: name -> plot, of those that it `shows`, as `pocketface.reporting.report` names them.
        counts: confusion matrices.
    """
    models = results.study.models
    levels = (picture for model in models for picture in quantization.pictures(results, model))
    drawn = {**drawn, **{name: svg(figure, name) for name, figure in levels}}
    jinja = Environment(
        loader=PackageLoader("pocketface.reporting", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["ticked"] = ticked
    latencies = tables.latencies(results)
    return jinja.get_template("page.html.j2").render(
        study=results.study.study,
        head=head_lines(results),
        glossary=GLOSSARY,
        noise=NOISE,
        ethics=ETHICS,
        groups_note=GROUPS,
        overview=[
            (
                f"{title_of(figure)}, {model}",
                svg(plots.overview({(model, figure): column}, ""), f"overview_{model}_{figure}"),
            )
            for (model, figure), column in effects(results, found).items()
        ],
        bearable=", ".join(
            f"{100 * most:g} points" if unit == "share" else f"{most:g} {unit}"
            for unit, most in BEARABLE.items()
        ),
        models=[_model(results, found, model, drawn, counts) for model in models],
        latencies=latencies,
        timed_on=timed_on(results) if latencies else "",
        faces=tables.faces(results),
        copies=tables.copies(results),
        about_models=tables.models(results),
        licences=tables.licences(results),
    )


def shows(name: str) -> bool:
    """Whether the page shows a plot of the report: those of one model, but confusion is a table."""
    return "/" in name and "/confusion_" not in name


def ticked(text: str) -> Markup:
    """Text in which `this` is set as code and *this* is stressed, as in Markdown; all else is escaped."""
    escaped = str(Markup.escape(text))
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", re.sub(r"`(.+?)`", r"<code>\1</code>", escaped)))


def svg(figure: Figure, name: str) -> Markup:
    """A figure as an element of the page: as wide as a phone can show, without titles, in the page's inks.

    Args:
        figure: is changed: narrowed, and its titles are taken away.
        name: distinguishes its elements from those of other pictures.
    """
    wide, high = figure.get_size_inches()
    figure.set_size_inches(min(WIDTH, wide), high)
    figure.suptitle("")
    if len(figure.axes) <= 2:
        for axes in figure.axes:
            for place in ("left", "center"):
                axes.set_title("", loc=place)
    for legend in list(figure.legends):
        words = [text.get_text() for text in legend.get_texts()]
        handles = [handle for handle in legend.legend_handles if handle is not None]
        legend.remove()
        with mpl.rc_context(plots.STYLE):
            figure.legend(handles, words, loc="outside lower center", ncols=min(3, len(words)))
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), plots.laid_out(figure):
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(NO_METADATA))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|legend|matplotlib\.axis|xtick|ytick)_\d+"', "", text
    )
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(
        r'(<svg[^>]*?) width="([\d.]+)pt"', r'\1 style="max-width:\2pt" aria-hidden="true"', text, count=1
    )
    for ink, colour in INKS.items():
        text = text.replace(f": {ink}", f": {colour}")
    return Markup(text)


NO_METADATA = ("Creator", "Date", "Format", "Type")


def _model(
    results: Results, found: Compareds, model: str, drawn: Mapping[str, Markup], counts: Counts
) -> dict[str, Any]:
    """What the template tells of one model."""
    own = results.study.trained_on(model)[0]
    measured, figures = results.measured(model), results.main_figures(model)
    ordered = orders(results, found, model)
    card = results.of(model)[0].card
    return {
        "name": model,
        "card": card,
        "facts": _facts(results, model),
        "n": measured[own].n if own in measured else 0,
        "split": measured[own].split if own in measured else None,
        "dataset": own,
        "best": _best(results, found, model, ordered[SMALLEST]),
        "variants": tables.variants(results, found, model, own, costs=True),
        "orders": list(ordered),
        "ranks": {
            level: [order.index(level) for order in ordered.values()] for level in results.study.levels
        },
        "others": [
            (name, about.split, about.n, tables.variants(results, found, model, name, costs=False))
            for name, about in measured.items()
            if name != own
        ],
        "further": [
            (name, table) for name in measured if (table := tables.further(results, found, model, name))
        ],
        "certainty": tables.certainty(results, found, model),
        "frontiers": [
            (f"{label_of(figure)} against {cost}", drawn[name])
            for figure in figures
            for cost in ("size", "latency")
            if (name := f"{model}_{figure.partition('.')[2]}_{cost}") in drawn
        ],
        "curves": drawn.get(f"{model}/curves"),
        "confusions": list(_confusions(results, model, counts)),
        "calibrations": [
            (head, drawn[name]) for head in card.outputs if (name := f"{model}/calibration_{head}") in drawn
        ],
        "groups": [
            {
                "title": label_of(figure),
                "pictures": [
                    (words, drawn[name])
                    for kind, words in GROUP_PICTURES
                    if (name := f"{model}/{kind}_{figure.partition('.')[2]}") in drawn
                ],
                "tables": _group_tables(results, found, model, figure),
            }
            for figure in figures
        ],
        "sensitivity": drawn.get(f"{model}_sensitivity"),
        "needs": quantization.needs(results, model),
        "files": _files(results, model),
    }


GROUP_PICTURES = (
    ("groups", "per group: bar and grey interval are float32, marks are the other levels"),
    ("group_changes", "change against float32 per group; hollow marks are noise"),
)


def _group_tables(results: Results, found: Compareds, model: str, figure: str) -> list[tuple[str, Table]]:
    by = [
        (f"by {name.replace('_', ' ')}", tables.groups(results, model, figure, name))
        for name in tables.groupings(results, model, figure)
    ]
    by += [("by picture source", tables.sources(results, model, figure))]
    by += [("change of every group", tables.group_changes(results, found, model, figure))]
    return [(title, table) for title, table in by if table]


def _best(results: Results, found: Compareds, model: str, order: Sequence[str]) -> dict[str, Any] | None:
    """The level that the table begins with, in words."""
    running = {variant.level: variant for variant in results.running(model)}
    if not order or order[0] not in running:
        return None
    best = running[order[0]]
    figures = [
        _with_verdict(found, best, results.float32(model), figure) for figure in results.main_figures(model)
    ]
    return {
        "level": best.level,
        "size": size(best.card.size_bytes),
        "ratio": best.card.size_ratio,
        "latency": best.latency_ms,
        "figures": figures,
    }


def _with_verdict(
    found: Compareds, variant: Variant, reference: Variant | None, figure: str
) -> tuple[str, str, str, str]:
    """The figure's label, value, change in words, and tone."""
    value = variant.figures.get(figure)
    one = change_of(found, variant, figure)
    words = ""
    if one is not None and reference is not None:
        words = f"{change(figure, value, reference.figures.get(figure))}, {verdict(figure, one)}"
    return label_of(figure), shown(figure, value), words, tone(figure, one)


def _confusions(results: Results, model: str, counts: Counts) -> Iterator[dict[str, Any]]:
    """Per head, per level: the labels, and rows of (share of the true class, count)."""
    for head, output in results.of(model)[0].card.outputs.items():
        matrices = [
            {"level": variant.level, "rows": _shares(counts[key])}
            for variant in results.running(model)
            if (key := (model, variant.level, head)) in counts
        ]
        if matrices:
            yield {"head": head, "labels": output.labels, "matrices": matrices}


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
    window = f"{card.input.size} x {card.input.size} x {card.input.channels}, raw 0..255 pixels"
    options = ", ".join(f"{name} {value}" for name, value in card.options.items())
    training = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in card.training.items()
        if not isinstance(value, dict | list) and value is not None
    )
    return [
        (name, text)
        for name, text in (
            ("Answers", "; ".join(answers)),
            ("Input", window),
            ("Architecture", f"{card.architecture} ({options})" if options else card.architecture),
            ("Size", f"{card.parameters:,} parameters, {card.macs / 1e6:.1f} M multiply-adds a face"),
            ("Trained on", card.dataset),
            ("Training", training),
            ("Terms", card.licence),
        )
        if text
    ]


def _files(results: Results, model: str) -> Table:
    """One row per level: what its file is and where it is."""
    rows: list[Row] = [
        [
            variant.level,
            Cell(size(variant.card.size_bytes), variant.card.size_bytes),
            quantization.LEVELS[variant.level].summary,
            f"variants/{model}/{variant.level}/model.tflite",
            variant.card.sha256 or "",
        ]
        for variant in results.running(model)
    ]
    return Table(["level", "size", "what it is", "file", "sha256"], rows)
