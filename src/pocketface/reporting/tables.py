"""The tables of a study, as Markdown text."""

import platform
from collections.abc import Iterable, Sequence
from importlib import metadata

from pocketface.evaluation.groups import GROUPINGS
from pocketface.reporting.quantities import MISSING, change, label_of, shown, size
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


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """A Markdown table; the first `text_columns` are set left, the rest, numbers, right.

    Bars in a cell are escaped and line breaks become spaces.
    """
    rule = [":--" if i < text_columns else "--:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def variants(results: Results, model: str, dataset: str, costs: bool) -> str:
    """One row per level: every metric on one dataset, with its change against float32.

    A level that failed is a row with its reason. The last row is what answering without looking reaches.

    Args:
        results: the study's.
        model: whose levels.
        dataset: on which they were measured.
        costs: whether to tell size and latency as well.
    """
    rows, reference = results.of(model), results.float32(model)
    figures = _figures_on(results, model, dataset)
    failed = any(variant.reason for variant in rows)
    header = ["level", *(label_of(figure) for figure in figures)]
    header += ["size", "latency, 1 thread"] * costs + ["why it failed"] * failed
    body = []
    for variant in rows:
        cells = [_with_change(figure, variant, reference) for figure in figures]
        cells += [_size(variant, reference), _latency(variant)] * costs + [variant.reason or ""] * failed
        body.append([variant.level, *cells])
    if measured := results.measured(model).get(dataset):
        blind = [shown(figure, measured.baseline.get(figure.partition(".")[2])) for figure in figures]
        body.append(["*without looking*", *blind, *[""] * (2 * costs + failed)])
    return markdown(header, body)


def _figures_on(results: Results, model: str, dataset: str) -> list[str]:
    """The metrics that a model has on a dataset: the main ones first, then by name."""
    names = {f for v in results.of(model) for f in v.figures if f.startswith(f"{dataset}.")}
    main = results.main_figures(model)
    return sorted(names - {f"{dataset}.n"}, key=lambda name: (name not in main, name))


def _with_change(figure: str, variant: Variant, reference: Variant | None) -> str:
    value = variant.figures.get(figure)
    text = shown(figure, value)
    if value is None or reference is None or variant is reference:
        return text
    return f"{text} ({change(figure, value, reference.figures.get(figure))})"


def _size(variant: Variant, reference: Variant | None) -> str:
    own, other = variant.card.size_bytes, reference.card.size_bytes if reference else None
    if variant is reference or own is None or other is None:
        return size(own)
    return f"{size(own)} ({own / other:.2f}x)"


def _latency(variant: Variant) -> str:
    if variant.timing is None or variant.latency_ms is None:
        return MISSING
    ratio = variant.timing.float32_ratio
    text = f"{variant.latency_ms:.2f} ms"
    return text if ratio is None or variant.level == FLOAT32 else f"{text} ({ratio:.2f}x)"


def latencies(results: Results) -> str:
    """Minimum, median and 95th percentile for every thread setting; empty when nothing was timed."""
    rows = [
        [variant.model, variant.level, threads, f"{ms.min_ms:.2f}", f"{ms.median_ms:.2f}", f"{ms.p95_ms:.2f}"]
        for variant in results.variants
        if variant.timing
        for threads, ms in variant.timing.threads.items()
    ]
    header = ["model", "level", "threads", "min (ms)", "median (ms)", "p95 (ms)"]
    return markdown(header, rows, text_columns=2) if rows else ""


def groups(results: Results, model: str, figure: str, grouping: str) -> str:
    """A metric per group and level, and the gap between the best and the worst group.

    Args:
        figure: `DATASET.METRIC`.
        grouping: e.g. `race`, see `pocketface.evaluation.groups`.

    Returns:
        A table, or nothing where fewer than two groups have this metric.
    """
    dataset, _, metric = figure.partition(".")
    levels = results.running(model)
    values = {variant.level: group_values(variant, dataset, metric, grouping) for variant in levels}
    present = {name for column in values.values() for name in column}
    names = [name for name in GROUPINGS[grouping] if name in present]
    if len(names) < 2:
        return ""
    counts = {
        name: group.n for variant in levels for name, group in _groups(variant, dataset, grouping).items()
    }
    header = [grouping.replace("_", " "), "faces", *values]
    rows = [
        [name, str(counts[name]), *(shown(figure, column.get(name)) for column in values.values())]
        for name in names
    ]
    gaps = [max(column.values()) - min(column.values()) if column else None for column in values.values()]
    rows.append(["**gap, best to worst**", "", *(f"**{shown(figure, gap)}**" for gap in gaps)])
    return markdown(header, rows)


def group_values(variant: Variant, dataset: str, metric: str, grouping: str) -> dict[str, float]:
    """A variant's metric per group, where the group has it, in the grouping's own order."""
    found = _groups(variant, dataset, grouping)
    return {
        name: found[name].metrics[metric]
        for name in GROUPINGS[grouping]
        if name in found and metric in found[name].metrics
    }


def _groups(variant: Variant, dataset: str, grouping: str) -> dict[str, GroupMetrics]:
    measured = variant.evaluation.datasets.get(dataset)
    return measured.by_group.get(grouping, {}) if measured else {}


def groupings(results: Results, model: str, figure: str) -> list[str]:
    """The groupings of a figure's dataset in which at least two groups have this metric."""
    measured = results.measured(model).get(figure.partition(".")[0])
    return [name for name in (measured.by_group if measured else {}) if groups(results, model, figure, name)]


def faces(results: Results) -> str:
    """Pictures per dataset and split: how many became a face, and why the others did not."""
    rows = []
    for dataset, index in results.faces.items():
        counts = reject_counts(index)
        for split, row in counts.iterrows():
            total = int(row.sum())
            rejected = ", ".join(f"{name} {n}" for name, n in row.iloc[1:].items() if n)
            share = f"{100 * row.iloc[0] / total:.1f}" if total else MISSING
            rows.append([dataset, str(split), rejected or "none", str(total), str(row.iloc[0]), share])
    header = ["dataset", "split", "rejected, and why", "pictures", "faces", "faces (%)"]
    return markdown(header, rows, text_columns=3)


def models(results: Results) -> str:
    """What each model is, from its card."""
    rows = []
    for name in results.study.models:
        card = results.of(name)[0].card
        window = f"{card.input.size}x{card.input.size}x{card.input.channels}"
        heads = ", ".join(card.outputs)
        parameters, macs = f"{card.parameters:,}", f"{card.macs / 1e6:.1f} M"
        rows.append([name, card.architecture, heads, card.dataset, window, parameters, macs])
    header = ["model", "architecture", "answers", "trained on", "input", "parameters", "multiply-adds"]
    return markdown(header, rows, text_columns=4)


def licences(results: Results) -> str:
    """The terms of every dataset, which travel with the weights trained on it, and of fetched weights."""
    rows = []
    for name, source in results.sources.items():
        own = [model for model in results.study.models if model not in results.study.fetched]
        trained = [model for model in own if name in results.study.trained_on(model)]
        title = f"[{source.title}]({source.home})" if source.home else source.title
        rows.append([name, title, ", ".join(trained) or "only measured on", source.licence])
    for model in results.study.fetched:
        card = results.of(model)[0].card
        rows.append([card.dataset, f"weights of {model}, fetched", model, card.licence])
    return markdown(["dataset", "source", "models trained on it", "licence and terms"], rows, text_columns=4)


def versions() -> str:
    """The versions of what builds and runs the variants."""
    found = [f"{name} {version}" for name in VERSIONS if (version := _version(name))]
    return ", ".join([f"Python {platform.python_version()}", *found])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
