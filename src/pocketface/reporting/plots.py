"""The plots of a study. Each function returns a figure; `save` writes it so that its bytes repeat.

No plot shows a face. Colours are the Okabe-Ito set (purple for its faint yellow), which people with
any colour vision can tell apart; levels differ in their marker as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pocketface.core.files import written_whole
from pocketface.metrics.measures import BINS
from pocketface.reporting.changes import Effect, Effects
from pocketface.reporting.quantities import label_of, quantity_of, title_of

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
INK, GREY, FAINT = "#1b1f24", "#6b7280", "#d9dde3"
COLOURS = (BLUE, ORANGE, GREEN, PINK, "#56B4E9", "#E69F00", INK, "#9467BD")
PALE = "#9ecae1"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")

ENOUGH = 10
"""Faces, below which a share of them says nothing."""

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
    with written_whole(path) as partial, laid_out(figure):
        figure.savefig(partial, format="png", metadata={"Software": None})


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """Lays a figure out, and lets it be saved as it is: matplotlib would draw it once more for its layout."""
    FigureCanvasAgg(figure)
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def tradeoff(points: Sequence[Point], figure_name: str, cost_label: str, levels: Sequence[str]) -> Figure:
    """A metric against what it costs, one marker per variant; lines join the levels of a model among several.

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
            if len(models) > 1:
                costs, values = [p.cost for p in own], [scale * p.value for p in own]
                axes.plot(costs, values, color=GREY, linewidth=1, zorder=2)
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
    return 100 if quantity_of(metric).unit == "share" else 1


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


def reliability(bins: Mapping[str, pd.DataFrame], levels: Sequence[str], title: str) -> Figure:
    """Whether probabilities mean what they say: the share of right answers against the confidence.

    Shares of fewer than `ENOUGH` faces are left out.

    Args:
        bins: level -> columns `confidence`, `accuracy`, `faces` of every bin that has faces.
        levels: of the study, in order.
        title: above all.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 4.8), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, zorder=1)
        width = 0.8 * 100 / BINS / len(bins)
        for i, (level, found) in enumerate(bins.items()):
            look = _look(levels.index(level))
            shown = found[found["faces"] >= ENOUGH]
            x, y = 100 * shown["confidence"], 100 * shown["accuracy"]
            axes.plot(x, y, color=look["color"], linewidth=1, zorder=2)
            axes.scatter(x, y, s=42, label=level, **look)
            edges = 100 / BINS * (found.index.to_numpy() + 0.5) + width * (i - (len(bins) - 1) / 2)
            below.bar(edges, found["faces"], width, color=look["color"])
        axes.set(ylabel="right answers (%)", xlim=(0, 100), ylim=(0, 102))
        below.set(xlabel="probability of the answer (%)", ylabel="faces")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=min(len(bins), 5))
    return figure


Intervals = Mapping[str, Mapping[str, tuple[float, float]]]


def groups(
    values: Mapping[str, Mapping[str, Mapping[str, float]]],
    figure_name: str,
    levels: Sequence[str],
    intervals: Intervals | None = None,
) -> Figure:
    """A metric per group of faces: a bar for the first level, a marker for each other.

    How unequal a model is, how sure that is, and what a level adds.

    Args:
        values: grouping -> level -> group -> metric; a panel per grouping, all with the same levels.
        figure_name: what the values are of, e.g. `utkface.age_mae`.
        levels: of the study, in order.
        intervals: grouping -> group -> the 95% interval of the first level.
    """
    dataset, _, metric = figure_name.partition(".")
    figure, panels = _panels(values)
    with mpl.rc_context(STYLE):
        for grouping, axes in panels.items():
            names, scale = _names(values[grouping]), _scale(metric)
            first, *others = values[grouping].items()
            own = {name: scale * value for name, value in first[1].items()}
            lengths = [own.get(name, 0) for name in names]
            axes.barh(range(len(names)), lengths, 0.72, color=PALE, label=first[0], zorder=1)
            for row, name in enumerate(names):
                if name in (known := (intervals or {}).get(grouping, {})):
                    axes.plot(
                        [scale * end for end in known[name]], [row, row], color=GREY, linewidth=5, alpha=0.45
                    )
            _group_markers(axes, dict(others), names, scale, levels, area=24)
            axes.set_ylabel(grouping.replace("_", " "))
        _finish(figure, panels, _axis(metric), f"{title_of(metric)} per group, {dataset}")
    return figure


def group_changes(
    changes: Mapping[str, Mapping[str, Mapping[str, tuple[float, bool]]]],
    figure_name: str,
    levels: Sequence[str],
) -> Figure:
    """What every level does to every group: changes against float32, hollow where they are noise.

    Args:
        changes: grouping -> level -> group -> change, and whether it is more than noise.
        figure_name: what changes, e.g. `utkface.age_mae`.
        levels: of the study, in order.
    """
    dataset, _, metric = figure_name.partition(".")
    scale = _scale(metric)
    figure, panels = _panels(changes)
    with mpl.rc_context(STYLE):
        for grouping, axes in panels.items():
            names = _names(changes[grouping])
            axes.axvline(0, color=GREY, linewidth=1)
            sizes = {
                level: {name: value for name, (value, _) in column.items()}
                for level, column in changes[grouping].items()
            }
            real = {
                level: {name for name, (_, known) in column.items() if known}
                for level, column in changes[grouping].items()
            }
            _group_markers(axes, sizes, names, scale, levels, real)
            axes.set_ylabel(grouping.replace("_", " "))
        unit = "points" if scale == 100 else quantity_of(metric).unit
        label = f"change of {title_of(metric)} ({unit}); hollow: noise"
        _finish(figure, panels, label, f"{title_of(metric)} per group against float32, {dataset}")
    return figure


def overview(effects: Effects, title: str) -> Figure:
    """What every level costs, at a glance: a panel per figure, a row per level, changes with 95% intervals.

    Args:
        effects: see `pocketface.reporting.changes`; shares in 0..1. A panel names its model where several
            models have the figure.
        title: above all.
    """
    columns = min(len(effects), 3)
    rows = -(-len(effects) // columns)
    longest = max(len(column) for column in effects.values())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * columns, rows * (0.27 * longest + 1.0) + 0.7), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False)
        for axes in panels.ravel()[len(effects) :]:
            axes.set_visible(False)
        figures = [name for _, name in effects]
        for axes, ((model, name), column) in zip(panels.ravel(), effects.items(), strict=False):
            _effects(axes, name, column)
            shared = figures.count(name) > 1
            axes.set_title(title_of(name) + (f", {model}" if shared else ""), fontsize=10.5)
        marks = [Line2D([], [], color=colour, marker="o", label=label) for colour, label in TONES.values()]
        figure.legend(handles=marks, loc="outside lower center", ncols=3)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


TONES = {"worse": (ORANGE, "a real loss"), "better": (GREEN, "a real gain"), "noise": (GREY, "noise")}


def _effects(axes: Axes, name: str, column: Sequence[Effect]) -> None:
    metric = name.partition(".")[2]
    scale = _scale(metric)
    axes.axvline(0, color=INK, linewidth=1)
    for row, effect in enumerate(column):
        colour, _ = TONES[effect.tone]
        axes.plot([scale * effect.low, scale * effect.high], [row, row], color=colour, linewidth=2)
        axes.scatter([scale * effect.change], [row], color=colour, s=34, zorder=3)
    notes = [effect.level + (f"  {effect.note}" if effect.note else "") for effect in column]
    axes.set_yticks(range(len(column)), notes)
    axes.set_ylim(len(column) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    # Few ticks with few digits: more would run into one another.
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    )
    axes.set_xlabel(
        f"{'points' if scale == 100 else quantity_of(metric).unit}, {quantity_of(metric).better} is better"
    )


def _names(by_level: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for column in by_level.values() for name in column))


def _panels(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[Figure, dict[str, Axes]]:
    """A panel per grouping, as high as it has groups."""
    rows = [len(_names(by_level)) for by_level in values.values()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 1.3 + 0.36 * sum(rows) + 0.35 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
    return figure, dict(zip(values, panels, strict=True))


def _finish(figure: Figure, panels: Mapping[str, Axes], label: str, title: str) -> None:
    last = list(panels.values())[-1]
    last.set_xlabel(label)
    figure.align_ylabels(list(panels.values()))
    handles, texts = last.get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(texts), 5))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")


def _group_markers(
    axes: Axes,
    by_level: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    scale: int,
    levels: Sequence[str],
    filled: Mapping[str, set[str]] | None = None,
    area: float = 34,
) -> None:
    """A row per group, in it a marker per level; those not `filled` are hollow."""
    for i, (level, column) in enumerate(by_level.items()):
        offset = 0.6 * (i / max(len(by_level) - 1, 1) - 0.5)
        look = _look(levels.index(level))
        colour = look.pop("color")
        rows = [row for row, name in enumerate(names) if name in column]
        solid = [filled is None or names[row] in filled[level] for row in rows]
        axes.scatter(
            [scale * column[names[row]] for row in rows],
            [row + offset for row in rows],
            s=area,
            label=level,
            **look
            | {"facecolor": [colour if one else "none" for one in solid]}
            | ({"linewidth": 0.3} if filled is None else {"edgecolor": colour}),
        )
    for row in range(len(names) - 1):
        axes.axhline(row + 0.5, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor=INK)
