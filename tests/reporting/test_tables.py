from dataclasses import replace

import pytest

from fake_outs import REASON, write_outs
from pocketface.reporting import tables
from pocketface.reporting.results import Results, reject_counts


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    return Results.load(outs.study, outs.root)


def rows(table):
    """First cell -> the other cells, of a Markdown table's body."""
    lines = [[cell.strip() for cell in line.split(" | ")] for line in table.splitlines()[2:]]
    return {cells[0].removeprefix("| "): [cell.removesuffix(" |") for cell in cells[1:]] for cells in lines}


def test_markdown_escapes_bars_and_keeps_one_line_per_row():
    assert tables.markdown(["a", "b"], [["x|y", "1\n2"]]).splitlines()[2] == r"| x\|y | 1 2 |"


def test_levels_are_compared_with_float32(results):
    found = rows(tables.variants(results, "age_gender", "utkface", costs=True))
    float32, int8 = results.of("age_gender")[0].figures, results.of("age_gender")[2].figures
    worse = int8["utkface.age_mae"] - float32["utkface.age_mae"]
    assert found["float32"][0] == f"{float32['utkface.age_mae']:.2f}"
    assert found["int8"][0] == f"{int8['utkface.age_mae']:.2f} (+{worse:.2f})"
    assert found["int8"][-2:] == ["331 kB (0.28x)", "1.40 ms (0.70x)"]
    assert "50.0" in found["*without looking*"]


def test_a_failed_level_is_a_row_with_its_reason(results):
    found = rows(tables.variants(results, "expression", "fer2013", costs=True))
    assert found["int8"][-1] == REASON.replace("|", r"\|")
    assert set(found["int8"][:-1]) == {"\N{EN DASH}"}


def test_levels_stand_without_changes_where_float32_is_missing(results):
    without = replace(results, variants=results.variants[1:])
    assert "(" not in "".join(rows(tables.variants(without, "age_gender", "photos", costs=False))["int8"])


def test_groups_stand_in_their_own_order_above_the_gap(results):
    found = rows(tables.groups(results, "age_gender", "utkface.age_mae", "age_band"))
    assert list(found)[:3] == ["0-2", "3-9", "10-19"]
    errors = [float(cells[1]) for name, cells in found.items() if not name.startswith("**")]
    gap = float(found["**gap, best to worst**"][1].strip("*"))
    assert gap == pytest.approx(max(errors) - min(errors), abs=0.011)


def test_one_group_alone_is_no_comparison(results):
    assert tables.groups(results, "age_gender", "photos.gender_accuracy", "race") == ""


def test_rejects_are_counted_per_split_and_reason(results):
    counts = reject_counts(results.faces["utkface"])
    assert list(counts.columns) == ["ok", "bad_name", "no_face"]
    assert counts.loc["val"].tolist() == [2, 1, 2]
    assert counts.loc["all"].tolist() == [17, 1, 2]
    assert "| utkface | val | bad_name 1, no_face 2 | 5 | 2 | 40.0 |" in tables.faces(results)
