"""Plots can be read."""

from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pocketface.reporting import plots
from pocketface.reporting.changes import Effect


@pytest.mark.parametrize("reach", [0.021, 0.038, 0.45, 1.7, 12.0])
def test_the_ticks_of_the_overview_stand_apart(reach):
    column = [Effect("int8", 0.1 * reach, -0.6 * reach, reach, "noise", "0.27x")]
    names = ("utkface.age_mae", "photos.age_mae", "fer2013.age_mae")
    figure = plots.overview({("age", name): column for name in names}, "Change")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = [tick.label1.get_window_extent(canvas.get_renderer()) for tick in ticks]
        assert len(boxes) > 1
        assert all(left.x1 + 4 < right.x0 for left, right in pairwise(boxes))
