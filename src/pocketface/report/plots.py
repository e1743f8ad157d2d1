"""The plots of a study. Each function returns a figure; `save` writes it so that its bytes repeat.

No plot shows a face. Colours are of the Okabe-Ito set, which people with any colour vision can tell apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from pocketface.core.files import written_whole
from pocketface.metrics.measures import BINS
from pocketface.metrics.naming import label_of, quantity_of, title_of
from pocketface.metrics.settings import Margins
from pocketface.results.table import Row

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
INK, GREY, FAINT = "#1b1f24", "#6b7280", "#d9dde3"
COLOURS = (BLUE, ORANGE, GREEN, PINK, "#56B4E9", "#E69F00", INK, "#9467BD")
PALE = "#9ecae1"
VERDICTS = {"worse": ORANGE, "better": GREEN, "equivalent": BLUE, "cannot tell": GREY}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")

Pair = tuple[float, float]

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
    "xtick.major.size": 0,  # the grid marks them
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.dpi": 120,
    "text.parse_math": False,
}


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG whose bytes depend on the figure alone: no date, no program name."""
    with written_whole(path) as partial, laid_out(figure):
        figure.savefig(partial, format="png", metadata={"Software": None})


@contextmanager
def laid_out(figure: Figure) -> Iterator[None]:
    """Lays a figure out, and lets it be saved as it is: matplotlib would draw it once more for its layout."""
    FigureCanvasAgg(figure)
    with mpl.rc_context({"text.parse_math": False}):  # for ticks, which are made when they are drawn
        if engine := figure.get_layout_engine():
            engine.execute(figure)
        figure.set_layout_engine(None)
        try:
            yield
        finally:
            figure.set_layout_engine(engine)


def confusion(counts: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """A confusion matrix: shares of each true class in percent, with the counts `[K, K]` of faces below; rows
    are the truth, columns the answer, in the order of the K labels.
    """
    side, room = 0.62 * len(labels) + 0.6, 1.1  # inches of the matrix, and for the labels beside it
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        whole = side + 2 * room
        figure = Figure(figsize=(whole, whole))  # set by hand: to lay it out takes as long as to draw it
        axes = figure.add_axes((1.3 * room / whole, 1.2 * room / whole, side / whole, side / whole))
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            look: Any = {"ha": "center", "va": "center", "linespacing": 1.1}
            look |= {"fontsize": 9 if len(labels) <= 4 else 7.5, "color": "white" if value > 0.55 else INK}
            axes.text(column, row, f"{100 * value:.0f}\n({int(counts[row, column])})", **look)
        axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("answer")
        axes.set_ylabel("truth, shares of it (%)")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=10)
    return figure


def curves(history: pd.DataFrame, title: str) -> Figure:
    """Learning curves: a panel per column that has a `val_` twin, training against validation; `history` has
    a row an epoch.
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
            look: Any = {"marker": "o" if len(history) < 15 else None, "ms": 3}
            train, val = (quantity_of(name).scale * history[column] for column in (name, f"val_{name}"))
            axes.plot(epochs, train, color=GREY, label="training", **look)
            axes.plot(epochs, val, color=BLUE, lw=2, label="validation", **look)
            axes.set(xlabel="epoch", ylabel=label_of(name))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def reliability(bins: Mapping[str, pd.DataFrame], levels: Sequence[str], title: str) -> Figure:
    """Whether probabilities mean what they say: the share of right answers against the confidence.

    Shares of fewer than `ENOUGH` faces are left out. `bins`: level -> columns `confidence`, `accuracy`,
    `faces` of every bin that has faces; `levels` are those of the study, in order.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 4.8), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, zorder=1)
        width = 0.8 * 100 / BINS / len(bins)
        for i, (level, found) in enumerate(bins.items()):
            place = levels.index(level)
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            shown = found[found["faces"] >= ENOUGH]
            x, y = 100 * shown["confidence"], 100 * shown["accuracy"]
            axes.plot(x, y, color=colour, linewidth=1, zorder=2)
            axes.scatter(x, y, 42, colour, marker=marker, lw=0.8, edgecolor="white", zorder=3, label=level)
            edges = 100 / BINS * (found.index.to_numpy() + 0.5) + width * (i - (len(bins) - 1) / 2)
            below.bar(edges, found["faces"], width, color=colour)
        axes.set(ylabel="right answers (%)", xlim=(0, 100), ylim=(0, 102))
        below.set(xlabel="probability of the answer (%)", ylabel="faces")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=min(len(bins), 5))
    return figure


@dataclass(frozen=True)
class Point:
    """One variant in a plot: what it costs (kilobytes or milliseconds), and a row of the results."""

    cost: float
    row: Row
    taken: bool = False


Costs = Mapping[str, Sequence[Point]]
"""Axis label, with its unit -> the points."""


def tradeoff(panels: Sequence[Costs], title: str, margins: Margins) -> Figure:
    """What levels change against what they cost: a row a metric, a column a cost; points are named, and the
    grey band about float32 is the margin of equivalence.
    """
    columns, wide, high = max(len(row) for row in panels), 4.2, 3.1
    whole = (columns * wide, len(panels) * high + 0.3)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=whole)  # set by hand: names are placed by where the points lie
        for i, costs in enumerate(panels):
            for j, (label, points) in enumerate(costs.items()):
                left, low = j * wide + 0.75, (len(panels) - 1 - i) * high + 0.55
                box = (left / whole[0], low / whole[1], (wide - 0.85) / whole[0], (high - 0.65) / whole[1])
                _scatter(figure.add_axes(box), label, points, margins)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def _scatter(axes: Axes, label: str, points: Sequence[Point], margins: Margins) -> None:
    """Changes against float32 with their 95% intervals; float32 itself lies at 0."""
    name = points[0].row.name
    quantity = quantity_of(name)
    margin = quantity.scale * quantity.margin(margins)
    axes.axhspan(-margin, margin, color=FAINT, alpha=0.6, linewidth=0)
    for point in points:
        colour = VERDICTS.get(point.row.verdict or "", GREY)
        moved, low, high = _ends(point.row)
        axes.plot([point.cost] * 2, [low, high], color=colour, alpha=0.35, linewidth=2)
        axes.scatter([point.cost], [moved], s=64 if point.taken else 30, color=colour, zorder=3)
    costs = [point.cost for point in points]
    axes.set_xscale("log")
    axes.set_xlim(0.5 * min(costs), 2 * max(costs))
    axes.margins(y=0.15)
    axes.set_ylim(axes.get_ylim())
    axes.set(xlabel=label, ylabel=f"{title_of(name)}, change ({quantity.change_unit})")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    _name_points(axes, points)


def _ends(row: Row) -> tuple[float, float, float]:
    """A change and its interval, in the printed unit; 0 of float32 itself."""
    scale = quantity_of(row.name).scale
    return scale * (row.change or 0.0), scale * (row.change_low or 0.0), scale * (row.change_high or 0.0)


def _name_points(axes: Axes, points: Sequence[Point]) -> None:
    """Names the points: beside them, or where that is taken near them, with a line to the point; points in
    one place are named together.
    """
    inch = STYLE["figure.dpi"] / 72  # places are in points of type
    ends = [[(point.cost, end) for end in _ends(point.row)] for point in points]
    places = [axes.transData.transform(of) / inch for of in ends]
    frame = Bbox(axes.bbox.get_points() / inch)
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for (x, y), *_ in places]
    lines = [Bbox([(x - 1, lowest), (x + 1, highest)]) for _, (x, lowest), (_, highest) in places]
    together: dict[tuple[float, float, bool], list[Point]] = {}
    for point, ((x, y), *_) in zip(points, places, strict=True):
        own = (x, y, point.taken)
        near = (at for at in together if not at[2] and abs(at[0] - x) < 3 and abs(at[1] - y) < 3)
        together.setdefault(own if point.taken else next(near, own), []).append(point)
    alone = {at: sum(abs(at[0] - x) < 70 and abs(at[1] - y) < 20 for x, y, _ in together) for at in together}
    for (x, y, bold), named in sorted(together.items(), key=lambda one: alone[one[0]]):
        names = [point.row.level for point in named]
        wide, tall = (5.8 if bold else 5.2) * max(map(len, names)), 10 * len(names)
        right_by, up_by, box = _room((x, y), (wide, tall), frame, taken, lines)
        taken.append(box)
        line: Any = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        line["relpos"] = (0 if right_by > 0 else 1, 0.5)
        axes.annotate(
            "\n".join(names),
            (named[0].cost, _ends(named[0].row)[0]),
            (right_by, up_by),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK if bold else GREY,
            weight="bold" if bold else "normal",
            arrowprops=None if up_by == 0 and right_by in (6, -6 - wide) else line,
        )


def _room(
    place: Pair, words: Pair, frame: Bbox, taken: Sequence[Bbox], lines: Sequence[Bbox]
) -> tuple[float, int, Bbox]:
    """Where words of that width and height go: how far to the right of a place and above it, and their box;
    near it, within the frame, on nothing that is taken, and on few lines.
    """
    (wide, tall), found = words, []
    for right_by, up_by in product((6, -6 - wide, 18, -18 - wide, 40, -40 - wide), range(-99, 100, 11)):
        box = Bbox.from_bounds(place[0] + right_by, place[1] + up_by - tall / 2, wide, tall)
        outside = not all(frame.contains(*corner) for corner in box.corners())
        hidden = 999 * (outside + box.count_overlaps(taken)) + 9 * box.count_overlaps(lines)
        far = abs(up_by) + (right_by if right_by > 0 else 10 - right_by - wide)
        found.append((hidden + far, right_by, up_by, box))
    return min(found, key=lambda one: one[:3])[1:]


def groups(values: Mapping[str, Sequence[tuple[str, Mapping[str, Row]]]], name: str, title: str) -> Figure:
    """A metric `DATASET.METRIC` per group of faces with 95% intervals, of float32 and of the level to take;
    `values`: grouping -> level and its rows by group.
    """
    sizes = [max(len(rows) for _, rows in by_level) for by_level in values.values()]
    scale = quantity_of(name).scale
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 1 + 0.3 * len(sizes) + 0.34 * sum(sizes)), layout="constrained")
        panels = figure.subplots(len(values), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
        for axes, (grouping, by_level) in zip(panels, values.items(), strict=True):
            names = list(dict.fromkeys(group for _, rows in by_level for group in rows))
            for i, (level, rows) in enumerate(by_level):
                look = {"color": (GREY, BLUE)[i % 2], "zorder": 3}
                for group, row in rows.items():
                    place = names.index(group) + 0.24 * (i - (len(by_level) - 1) / 2)
                    if row.low is not None and row.high is not None:
                        ends = [scale * row.low, scale * row.high]
                        axes.plot(ends, [place] * 2, linewidth=2, alpha=0.5, **look)
                    label = level if group == names[0] else None
                    axes.scatter([scale * (row.value or 0.0)], [place], s=26, label=label, **look)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_title(grouping.replace("_", " "), fontsize=10)
            axes.tick_params(axis="y", length=0, labelcolor=INK)
        panels[-1].set_xlabel(f"{label_of(name)}, {quantity_of(name).better} is better")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def overview(changes: Mapping[tuple[str, str], Sequence[tuple[Row, float | None]]], title: str) -> Figure:
    """What every level costs: a panel a model and metric, a row a level; change with its interval, and size
    as a bar. Panels of the same unit share their axis.

    `changes`: (model, `DATASET.METRIC`) -> rows of the results and the size of the file, a share of
    float32's.
    """
    heights = [len(rows) for rows in changes.values()]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.25 * sum(heights) + 0.75 * len(heights) + 0.6), layout="constrained")
        panels = figure.subplots(len(changes), 2, squeeze=False, height_ratios=heights, width_ratios=[4, 1])
        by_unit: dict[float, list[Axes]] = {}
        for (axes, bars), ((model, name), rows) in zip(panels, changes.items(), strict=True):
            quantity, places = quantity_of(name), range(len(rows))
            axes.axvline(0, color=GREY, linewidth=1)
            for place, (row, _) in zip(places, rows, strict=True):
                colour = VERDICTS.get(row.verdict or "", GREY)
                moved, low, high = _ends(row)
                axes.plot([low, high], [place] * 2, color=colour, linewidth=2)
                axes.scatter([moved], [place], color=colour, s=26, zorder=3)
            bars.barh(places, [share or 0 for _, share in rows], 0.6, color=PALE)
            for one, ticks in ((axes, [row.level for row, _ in rows]), (bars, [""] * len(rows))):
                one.set_yticks(places, ticks)
                one.set_ylim(len(rows) - 0.5, -0.5)
                one.grid(False, axis="y")
                one.tick_params(axis="y", length=0, labelcolor=INK)
            bars.set_xlim(0, 1)
            bars.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            told = f"{quantity.change_unit}, {quantity.better} is better"
            axes.set_title(f"{model}: {title_of(name)} ({told})", fontsize=10)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
            by_unit.setdefault(quantity.scale, []).append(axes)
        for alike in by_unit.values():
            ends = [end for axes in alike for end in axes.get_xlim()]
            for axes in alike:
                axes.set_xlim(min(ends), max(ends))
        panels[0, 1].set_title("size", fontsize=10)
        marks = [Line2D([], [], color=colour, marker="o", label=label) for label, colour in VERDICTS.items()]
        figure.legend(handles=marks, loc="outside lower center", ncols=4)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure
