"""Plots can be read."""

from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pocketface.report import plots
from pocketface.results.table import Row


def row(level, change, low, high):
    return Row("age", level, "age_mae", "utkface", value=6, change=change, change_low=low, change_high=high)


@pytest.mark.parametrize("reach", [0.021, 0.038, 0.45, 1.7, 12.0])
def test_the_ticks_of_the_overview_stand_apart_and_panels_share_their_axis(reach):
    names = ("utkface.age_mae", "photos.age_mae")
    changes = {
        ("age", name): [(row("int8", 0.1 * reach, -0.6 * reach, reach / n), 0.27)]
        for n, name in enumerate(names, 1)
    }
    figure = plots.overview(changes, "Change")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes[::2]:
        low, high = axes.get_xlim()
        assert (low, high) == figure.axes[0].get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = [tick.label1.get_window_extent(canvas.get_renderer()) for tick in ticks]
        assert len(boxes) > 1
        assert all(left.x1 + 4 < right.x0 for left, right in pairwise(boxes))


def test_points_are_named_apart():
    points = [
        plots.Point(level, 100.0 + i, row(level, 0.0, -0.1, 0.1))
        for i, level in enumerate(("float32", "int8", "int8_io", "uint8_io"))
    ]
    figure = plots.tradeoff([{"file (kB)": points}], "age", {"age_mae": 0.1})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
