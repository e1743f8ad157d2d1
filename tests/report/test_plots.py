"""Plots can be read."""

from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from pocketface.metrics.settings import Margins
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


def boxes_of(figure, texts):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [Text.get_window_extent(text, canvas.get_renderer()) for text in texts]  # without its line


def apart(boxes):
    return not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_points_are_named_beside_them_and_apart():
    sizes = {"float32": 400, "int8": 101, "int8_io": 100, "uint8_io": 100.1, "int4_weights": 60}
    points = [plots.Point(size, row(level, 0.0, -0.1, 0.1), level == "int8") for level, size in sizes.items()]
    axes = plots.tradeoff([{"file (kB)": points}], "age", Margins(years=0.1)).axes[0]
    texts = {text.get_text(): text for text in axes.texts}
    assert set(texts) == {"float32", "int8", "int8_io\nuint8_io", "int4_weights"}
    boxes = boxes_of(axes.figure, texts.values())
    assert apart(boxes) and all(axes.bbox.contains(*corner) for box in boxes for corner in box.corners())
    for name, box in zip(texts, boxes, strict=True):
        point = axes.transData.transform((sizes[name.partition("\n")[0]], 0))
        away = max(box.x0 - point[0], point[0] - box.x1), max(box.y0 - point[1], point[1] - box.y1)
        assert max(away) < 20 or texts[name].arrow_patch, (
            f"{name} stands beside its point or has a line to it"
        )


def test_words_of_a_plot_of_groups_do_not_overlap():
    found = {name: row(name, None, None, None) for name in ("male", "female")}
    by = ("gender", "gender, age-standardised", "race")
    figure = plots.groups({one: [("float32", found), ("int8", found)] for one in by}, "u.age_mae", "age")
    words = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert {text.get_text() for text in words} >= set(by)
    with plots.laid_out(figure):
        assert apart(boxes_of(figure, words))
