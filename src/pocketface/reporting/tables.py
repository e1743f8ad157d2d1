"""The tables of a study; each is data, which a page shows as Markdown or as HTML.

tables.variants(results, found, "age_gender", "utkface", costs=True).markdown()
"""

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from pocketface.cards import ModelCard
from pocketface.evaluation.confidence import Change
from pocketface.evaluation.groups import GROUPINGS
from pocketface.faces.index import CONTRADICTORY, DUPLICATE, MEASURED_TOO
from pocketface.reporting.changes import Compareds, change_of, tone, verdict
from pocketface.reporting.quantities import MISSING, SAME, change, label_of, shown, size, spread
from pocketface.reporting.results import FLOAT32, GroupMetrics, Results, Variant, reject_counts

VERSIONS = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "ai-edge-litert",
    "dlib-bin",
    "opencv-python-headless",
    "numpy",
)
"""Packages that decide what a variant is and answers."""

FURTHER = ("_balanced_accuracy", "_weighted_f1", "_ece")
"""Endings of the metrics that have a table of their own."""

BUILT = ("input", "parameters", "multiply-adds")
"""See `built`."""


@dataclass(frozen=True)
class Cell:
    """What a table says in one place.

    Attributes:
        text: as printed.
        sort: the number that a column is sorted by, where the text does not begin with it.
        tone: `worse`, `better` or `noise`, see `pocketface.reporting.changes.tone`; `total` in a last row.
        href: where the text leads.
    """

    text: str
    sort: float | None = None
    tone: str = ""
    href: str | None = None

    @property
    def markdown(self) -> str:
        """For a Markdown table: bars, tags of HTML and links are escaped, line breaks become spaces."""
        text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(self.text.split()))
        text = text.replace("|", r"\|").replace("](", r"]\(")
        if self.href:
            return f"[{text}]({self.href})"
        return f"**{text}**" if self.tone == "total" and text else text


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


def variants(results: Results, found: Compareds, model: str, dataset: str, costs: bool) -> Table:
    """One row per level: the metrics on one dataset, with their changes against float32.

    A level that failed is a row with its reason. The last row is what answering without looking reaches.

    Args:
        results: the study's.
        found: see `pocketface.reporting.changes`.
        model: whose levels.
        dataset: on which they were measured.
        costs: whether to tell size and latency as well.
    """
    rows, reference = results.of(model), results.float32(model)
    figures = [name for name in figures_on(results, model, dataset) if not name.endswith(FURTHER)]
    failed = any(variant.reason for variant in rows)
    header = ["level", *(label_of(figure) for figure in figures)]
    header += ["size", "latency, 1 thread"] * costs + ["why it failed"] * failed
    body: list[Row] = []
    for variant in rows:
        cells = [_with_change(figure, variant, reference, found) for figure in figures]
        cells += [_size(variant, reference), _latency(variant)] * costs + [
            Cell(variant.reason or "")
        ] * failed
        body.append([variant.level, *cells])
    if measured := results.measured(model).get(dataset):
        blind = [shown(figure, measured.baseline.get(figure.partition(".")[2])) for figure in figures]
        body.append(["without looking", *blind, *[""] * (2 * costs + failed)])
    return Table(header, body)


def further(results: Results, found: Compareds, model: str, dataset: str) -> Table:
    """One row per level that runs: the metrics that `variants` leaves out."""
    reference = results.float32(model)
    figures = [name for name in figures_on(results, model, dataset) if name.endswith(FURTHER)]
    rows: list[Row] = [
        [variant.level, *(_with_change(figure, variant, reference, found) for figure in figures)]
        for variant in results.running(model)
    ]
    return Table(["level", *(label_of(figure) for figure in figures)], rows if figures else [])


def certainty(results: Results, found: Compareds, model: str) -> Table:
    """Main figure by level: value and change with their 95% intervals, McNemar's p, and the verdict."""
    rows: list[Row] = []
    for figure in results.main_figures(model):
        dataset, _, metric = figure.partition(".")
        for variant in results.running(model):
            compared = found.get((model, variant.level, dataset))
            if compared is None or figure not in variant.figures:
                continue
            difference = compared.changes.get(metric)
            row = [label_of(figure), variant.level, shown(figure, variant.figures[figure])]
            row += [spread(figure, *compared.intervals[metric])]
            if difference is None:
                rows.append([*row, "", "", "", ""])
                continue
            p_value = f"{difference.p:.3f}"
            rows.append(
                [
                    *row,
                    Cell(change(figure, difference.change, 0.0), difference.change),
                    spread(figure, difference.low, difference.high, signed=True),
                    p_value,
                    Cell(verdict(figure, difference), tone=tone(figure, difference)),
                ]
            )
    header = ["figure", "level", "value", "95% interval", "change", "its 95% interval", "p", "verdict"]
    return Table(header, rows, text_columns=2)


def figures_on(results: Results, model: str, dataset: str) -> list[str]:
    """The metrics that a model has on a dataset: the main ones first, then by name."""
    names = {f for v in results.of(model) for f in v.figures if f.startswith(f"{dataset}.")}
    main = results.main_figures(model)
    return sorted(names - {f"{dataset}.n"}, key=lambda name: (name not in main, name))


def _with_change(figure: str, variant: Variant, reference: Variant | None, found: Compareds) -> Cell:
    value = variant.figures.get(figure)
    text = shown(figure, value)
    if value is None or reference is None or variant is reference:
        return Cell(text, value)
    difference = change_of(found, variant, figure)
    words = [change(figure, value, reference.figures.get(figure))]
    if difference is not None and words != [SAME]:
        words.append(verdict(figure, difference))
    return Cell(f"{text} ({', '.join(words)})", value, tone(figure, difference))


def _size(variant: Variant, reference: Variant | None) -> Cell:
    own, other = variant.card.size_bytes, reference.card.size_bytes if reference else None
    if variant is reference or own is None or other is None:
        return Cell(size(own), own)
    return Cell(f"{size(own)} ({own / other:.2f}x)", own)


def _latency(variant: Variant) -> Cell:
    if variant.timing is None or variant.latency_ms is None:
        return Cell(MISSING)
    ratio = variant.timing.float32_ratio
    text = f"{variant.latency_ms:.2f} ms"
    shown_ratio = ratio is not None and variant.level != FLOAT32
    return Cell(f"{text} ({ratio:.2f}x)" if shown_ratio else text, variant.latency_ms)


def latencies(results: Results) -> Table:
    """Minimum, median and 95th percentile for every thread setting; empty when nothing was timed."""
    rows: list[Row] = [
        [variant.model, variant.level, threads, f"{ms.min_ms:.2f}", f"{ms.median_ms:.2f}", f"{ms.p95_ms:.2f}"]
        for variant in results.variants
        if variant.timing
        for threads, ms in variant.timing.threads.items()
    ]
    header = ["model", "level", "threads", "min (ms)", "median (ms)", "p95 (ms)"]
    return Table(header, rows, text_columns=2)


def groups(results: Results, model: str, figure: str, grouping: str) -> Table:
    """A metric per group and level, and the gap between the best and the worst group.

    Args:
        figure: `DATASET.METRIC`.
        grouping: e.g. `race`, see `pocketface.evaluation.groups`.

    Returns:
        A table, without rows where fewer than two groups have this metric.
    """
    dataset, _, metric = figure.partition(".")
    levels = results.running(model)
    values = {variant.level: group_values(variant, dataset, metric, grouping) for variant in levels}
    counts = {
        name: group.n for variant in levels for name, group in _groups(variant, dataset, grouping).items()
    }
    names = _group_names(levels, figure, grouping)
    return _by_level(grouping, figure, names, counts, values)


def sources(results: Results, model: str, figure: str) -> Table:
    """A metric per picture source, and the gap; without rows where only one source has it."""
    metric = figure.partition(".")[2]
    values = {
        variant.level: {
            dataset: measured.metrics[metric]
            for dataset, measured in variant.evaluation.datasets.items()
            if metric in measured.metrics
        }
        for variant in results.running(model)
    }
    measured = results.measured(model)
    names = [name for name in measured if metric in measured[name].metrics]
    return _by_level("picture source", figure, names, {name: measured[name].n for name in names}, values)


def _by_level(
    kind: str,
    figure: str,
    names: Sequence[str],
    counts: dict[str, int],
    values: dict[str, dict[str, float]],
) -> Table:
    header = [kind.replace("_", " "), "faces", *values]
    if len(names) < 2:
        return Table(header, [])
    rows: list[Row] = [
        [name, str(counts[name]), *(shown(figure, column.get(name)) for column in values.values())]
        for name in names
    ]
    gaps = [max(column.values()) - min(column.values()) if column else None for column in values.values()]
    total = ["gap, best to worst", "", *(shown(figure, gap) for gap in gaps)]
    return Table(header, [*rows, [Cell(text, tone="total") for text in total]])


def group_changes(results: Results, found: Compareds, model: str, figure: str) -> Table:
    """What every level does to every group, against float32 on the same faces."""
    dataset, _, metric = figure.partition(".")
    levels = [
        variant.level
        for variant in results.running(model)
        if getattr(found.get((model, variant.level, dataset)), "group_changes", None)
    ]
    rows: list[Row] = []
    for grouping in groupings(results, model, figure):
        for group in GROUPINGS[grouping]:
            changes = [
                found[model, level, dataset].group_changes.get((grouping, group), {}).get(metric)
                for level in levels
            ]
            if any(changes):
                cells = [_changed_group(figure, one) for one in changes]
                rows.append([grouping.replace("_", " "), group, *cells])
    return Table(["by", "group", *levels], rows, text_columns=2)


def _changed_group(figure: str, one: Change | None) -> Cell:
    if one is None:
        return Cell(MISSING)
    words = [change(figure, one.change, 0.0)]
    if tone(figure, one) != "noise":
        words.append(verdict(figure, one))
    return Cell(", ".join(words), one.change, tone(figure, one))


def group_values(variant: Variant, dataset: str, metric: str, grouping: str) -> dict[str, float]:
    """A variant's metric per group, where the group has it, in the grouping's own order."""
    found = _groups(variant, dataset, grouping)
    return {
        name: found[name].metrics[metric]
        for name in GROUPINGS[grouping]
        if name in found and metric in found[name].metrics
    }


def _group_names(levels: Sequence[Variant], figure: str, grouping: str) -> list[str]:
    """The groups of which any of these variants has this figure, in the grouping's own order."""
    dataset, _, metric = figure.partition(".")
    present = {name for variant in levels for name in group_values(variant, dataset, metric, grouping)}
    return [name for name in GROUPINGS[grouping] if name in present]


def _groups(variant: Variant, dataset: str, grouping: str) -> dict[str, GroupMetrics]:
    measured = variant.evaluation.datasets.get(dataset)
    return measured.by_group.get(grouping, {}) if measured else {}


def groupings(results: Results, model: str, figure: str) -> list[str]:
    """The groupings of a figure's dataset in which at least two groups have this metric."""
    measured, levels = results.measured(model).get(figure.partition(".")[0]), results.running(model)
    by_group = measured.by_group if measured else {}
    return [grouping for grouping in by_group if len(_group_names(levels, figure, grouping)) >= 2]


def faces(results: Results) -> Table:
    """Pictures per dataset and split: how many became a face, and why the others did not."""
    rows: list[Row] = []
    for dataset, index in results.faces.items():
        counts = reject_counts(index)
        for split, row in counts.iterrows():
            total = int(row.sum())
            rejected = ", ".join(f"{name} {n}" for name, n in row.iloc[1:].items() if n)
            share = f"{100 * row.iloc[0] / total:.1f}" if total else MISSING
            rows.append([dataset, str(split), rejected or "none", str(total), str(row.iloc[0]), share])
    header = ["dataset", "split", "rejected, and why", "pictures", "faces", "faces (%)"]
    return Table(header, rows, text_columns=3)


def copies(results: Results) -> str:
    """What became of pictures that a dataset holds more than once, in sentences; empty if there are none."""
    said = []
    for dataset, index in results.faces.items():
        of = index.groupby("status")["same_as"]
        pictures, files = of.nunique(), of.size()
        if MEASURED_TOO in pictures:
            said.append(
                f"{dataset}: {pictures[MEASURED_TOO]} of the measured pictures were also in its other splits "
                f"({files[MEASURED_TOO]} files); these are left out of training."
            )
        if DUPLICATE in files:
            said.append(f"{dataset}: {files[DUPLICATE]} files are copies of a picture in the same split.")
        if CONTRADICTORY in files:
            said.append(
                f"{dataset}: {files[CONTRADICTORY]} files show {pictures[CONTRADICTORY]} pictures that have "
                f"contradictory labels; `datasets.{dataset}.contradictory: true` would use them."
            )
    return " ".join(said)


def models(results: Results) -> Table:
    """What each model is, from its card."""
    rows: list[Row] = []
    for name in results.study.models:
        card = results.of(name)[0].card
        rows.append([name, card.architecture, ", ".join(card.outputs), card.dataset, *built(card)])
    return Table(["model", "architecture", "answers", "trained on", *BUILT], rows, text_columns=4)


def built(card: ModelCard) -> list[Cell]:
    """What a model sees, and how large it is: the columns `BUILT`."""
    window = f"{card.input.size}x{card.input.size}x{card.input.channels}"
    parameters, macs = f"{card.parameters:,}", f"{card.macs / 1e6:.1f} M"
    return [Cell(window), Cell(parameters, card.parameters), Cell(macs, card.macs)]


def licences(results: Results) -> Table:
    """The terms of every dataset, which travel with the weights trained on it, and of fetched weights."""
    rows: list[Row] = []
    trained_here = [model for model in results.study.models if model not in results.study.fetched]
    for name, source in results.sources.items():
        trained = [model for model in trained_here if name in results.study.trained_on(model)]
        title = Cell(source.title, href=source.home or None)
        rows.append([name, title, ", ".join(trained) or "only measured on", source.licence])
    for model in results.study.fetched:
        card = results.of(model)[0].card
        rows.append([card.dataset, f"the fetched weights of {model}", model, card.licence])
    return Table(["dataset", "source", "models trained on it", "licence and terms"], rows, text_columns=4)


def versions() -> str:
    """The versions of what builds and runs the variants, as installed."""
    found = [f"{name} {version}" for name in VERSIONS if (version := _version(name))]
    return ", ".join([f"Python {platform.python_version()}", *found])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
