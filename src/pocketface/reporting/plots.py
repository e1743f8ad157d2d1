"""The plots of a study. Each function returns a figure; `save` writes it so that its bytes repeat.

No plot shows a face. Colours are the Okabe-Ito set, which people with any colour vision can tell apart;
levels differ in their marker as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pocketface.files import written_whole
from pocketface.reporting.quantities import label_of, quantity_of, title_of

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
INK, GREY, FAINT = "#1b1f24", "#6b7280", "#d9dde3"
COLOURS = (BLUE, ORANGE, GREEN, PINK, "#56B4E9", "#E69F00", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "figure.dpi": 120,
}


@dataclass(frozen=True)
class Point:
    """One variant in a trade-off plot: `cost` (bytes or milliseconds) against `value` (a metric)."""

    model: str
    level: str
    cost: float
    value: float


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG whose bytes depend on the figure alone: no date, no program name."""
    with written_whole(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})


def tradeoff(points: Sequence[Point], figure_name: str, cost_label: str, levels: Sequence[str]) -> Figure:
    """A metric against what it costs, one marker per variant, a line through each model's levels.

    Args:
        points: at least one.
        figure_name: what `Point.value` is a value of, e.g. `utkface.age_mae`.
        cost_label: of the horizontal axis, with its unit.
        levels: of the study, in order: a level looks the same in every plot.
    """
    dataset, _, metric = figure_name.partition(".")
    scale = _scale(metric)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        models = list(dict.fromkeys(point.model for point in points))
        for model in models:
            own = sorted((p for p in points if p.model == model), key=lambda point: point.cost)
            axes.plot(
                [p.cost for p in own], [scale * p.value for p in own], color=GREY, linewidth=1, zorder=2
            )
            if len(models) > 1:
                axes.annotate(
                    model,
                    (own[-1].cost, scale * own[-1].value),
                    xytext=(0, 9),
                    textcoords="offset points",
                    ha="right",
                    color=GREY,
                )
        for i, level in enumerate(levels):
            own = [p for p in points if p.level == level]
            axes.scatter(
                [p.cost for p in own],
                [scale * p.value for p in own],
                s=80,
                label=level if own else None,
                **_look(i),
            )
        _cost_axis(axes, [point.cost for point in points])
        axes.margins(y=0.18)
        axes.set(xlabel=f"{cost_label}, less is better", ylabel=_axis(metric))
        axes.set_title(f"{title_of(metric)} on {dataset}")
        figure.legend(loc="outside lower center", ncols=min(len(levels), 5))
    return figure


def _look(level: int) -> dict[str, Any]:
    """How the markers of the study's n-th level look, in every plot."""
    return {
        "color": COLOURS[level % len(COLOURS)],
        "marker": MARKERS[level % len(MARKERS)],
        "edgecolor": "white",
        "linewidth": 0.8,
        "zorder": 3,
    }


def _scale(metric: str) -> int:
    return 100 if quantity_of(metric).unit == "%" else 1


def _axis(metric: str) -> str:
    return f"{label_of(metric)}, {quantity_of(metric).better} is better"


def _cost_axis(axes: Axes, costs: Sequence[float]) -> None:
    """From nothing on, so that distances show ratios; logarithmic where the largest dwarfs the smallest."""
    low, high = min(costs), max(costs)
    if high <= 20 * low:
        axes.set_xlim(0, 1.08 * high)
        return
    low, high = low / 1.3, high * 1.3
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks([step for step in steps if low <= step <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def confusion(counts: Mapping[str, np.ndarray], labels: Sequence[str], title: str) -> Figure:
    """Confusion matrices side by side: shares of each true class, with the counts below.

    Args:
        counts: level -> `[K, K]` numbers of faces; rows are the truth, columns the answer.
        labels: the K classes, in the model's order.
        title: above all.
    """
    side = max(2.6, 0.62 * len(labels) + 1.2)
    size = 9 if len(labels) <= 4 else 7.5
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(side * len(counts) + 1.2, side + 0.9), layout="constrained")
        panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
        for axes, (level, matrix) in zip(panels, counts.items(), strict=True):
            totals = matrix.sum(axis=1, keepdims=True)
            share = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
            image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
            for (row, column), value in np.ndenumerate(share):
                axes.text(
                    column,
                    row,
                    f"{100 * value:.0f}\n({int(matrix[row, column])})",
                    ha="center",
                    va="center",
                    fontsize=size,
                    linespacing=1.1,
                    color="white" if value > 0.55 else INK,
                )
            ticks = range(len(labels))
            slanted = len(labels) > 3
            axes.set_xticks(ticks, labels, rotation=45 if slanted else 0, ha="right" if slanted else "center")
            axes.set_yticks(ticks, labels)
            axes.set_title(level)
            axes.set_xlabel("answer")
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        panels[0].set_ylabel("truth")
        bar = figure.colorbar(
            image, ax=list(panels), format=lambda value, _: f"{100 * value:.0f}", shrink=0.85
        )
        bar.set_label("faces of the true class (%)")
        bar.outline.set_visible(False)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def curves(history: pd.DataFrame, title: str) -> Figure:
    """Learning curves: a panel per column that has a `val_` twin, training against validation.

    Args:
        history: `epoch`, then columns such as `loss` and `val_loss`; one row per epoch.
        title: above all.
    """
    names = [column for column in history.columns if f"val_{column}" in history.columns]
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    epochs = history["epoch"] + (1 - history["epoch"].iloc[0])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns + 0.4, 2.7 * rows + 0.7), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(panels, names, strict=False):
            scale = _scale(name)
            marker = "o" if len(history) < 15 else None
            axes.plot(epochs, scale * history[name], color=GREY, marker=marker, ms=3, label="training")
            axes.plot(
                epochs,
                scale * history[f"val_{name}"],
                color=BLUE,
                marker=marker,
                ms=3,
                lw=2,
                label="validation",
            )
            axes.set(xlabel="epoch", ylabel=label_of(name))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        handles, texts = panels[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=2)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def groups(
    values: Mapping[str, Mapping[str, Mapping[str, float]]], figure_name: str, levels: Sequence[str]
) -> Figure:
    """A metric per group of faces, a marker per level: how unequal a model is, and what a level adds.

    Args:
        values: grouping -> level -> group -> metric; a panel per grouping, all with the same levels.
        figure_name: what the values are of, e.g. `utkface.age_mae`.
        levels: of the study, in order.
    """
    dataset, _, metric = figure_name.partition(".")
    names = {
        grouping: list(dict.fromkeys(name for column in by_level.values() for name in column))
        for grouping, by_level in values.items()
    }
    rows = [len(groups) for groups in names.values()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 1.3 + 0.34 * sum(rows) + 0.35 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
        for axes, (grouping, by_level) in zip(panels, values.items(), strict=True):
            _group_panel(axes, by_level, names[grouping], _scale(metric), levels)
            axes.set_ylabel(grouping.replace("_", " "))
        panels[-1].set_xlabel(_axis(metric))
        figure.align_ylabels(panels)
        handles, texts = panels[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=min(len(texts), 5))
        figure.suptitle(f"{title_of(metric)} per group, {dataset}", x=0.01, ha="left", fontweight="bold")
    return figure


def _group_panel(
    axes: Axes,
    by_level: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    scale: int,
    levels: Sequence[str],
) -> None:
    for i, (level, column) in enumerate(by_level.items()):
        rows = [row for row, name in enumerate(names) if name in column]
        offset = 0.15 * (i - (len(by_level) - 1) / 2)
        values = [scale * column[names[row]] for row in rows]
        axes.scatter(values, [row + offset for row in rows], s=42, label=level, **_look(levels.index(level)))
    for row in range(len(names) - 1):
        axes.axhline(row + 0.5, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
