from dataclasses import replace

import pytest

from fake_outs import REASON, write_outs
from pocketface.reporting import tables
from pocketface.reporting.changes import change_of, compare
from pocketface.reporting.quantities import change
from pocketface.reporting.results import Results, all_predictions, reject_counts


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    return Results.load(outs.study, outs.root)


@pytest.fixture(scope="module")
def found(results):
    return compare(results, all_predictions(results))


def rows(table):
    """Text of the first cell -> texts of the others."""
    return {cells[0].text: [cell.text for cell in cells[1:]] for cells in table.cells}


def test_markdown_escapes_bars_and_keeps_one_line_per_row():
    cells = ["x|y", tables.Cell("1\n2", tone="total"), tables.Cell("z", href="https://a.org")]
    assert tables.Table(["a", "b", "c"], [cells]).markdown().splitlines() == [
        "| a | b | c |",
        "| :-- | --: | --: |",
        r"| x\|y | **1 2** | [z](https://a.org) |",
    ]


def test_markdown_takes_no_tag_and_no_link_from_a_cell():
    cells = ["<script>x</script>", "a < 1", "![x](https://a.org)"]
    assert tables.Table(["a", "b", "c"], [cells]).markdown().splitlines()[-1] == (
        r"| &lt;script>x&lt;/script> | a < 1 | ![x]\(https://a.org) |"
    )


def test_levels_are_compared_with_float32(results, found):
    table = rows(tables.variants(results, found, "age_gender", "utkface", costs=True))
    float32, int8 = results.of("age_gender")[0].figures, results.of("age_gender")[2].figures
    worse = int8["utkface.age_mae"] - float32["utkface.age_mae"]
    assert table["float32"][0] == f"{float32['utkface.age_mae']:.2f}"
    assert table["int8"][0] == f"{int8['utkface.age_mae']:.2f} (+{worse:.2f}, real)"
    assert table["int8"][-2:] == ["331 kB (0.28x)", "1.40 ms (0.70x)"]
    assert "50.0" in table["without looking"]


def test_what_is_sorted_is_the_number_and_not_its_text(results, found):
    table = tables.variants(results, found, "age_gender", "utkface", costs=True)
    size = [cells[-2].sort for cells in table.cells]
    assert size == [1_203_456, 612_345, 331_000, None], "1.20 MB is more than 612 kB"


def test_every_change_has_its_interval_and_its_verdict(results, found):
    lines = [[cell.text for cell in cells] for cells in tables.certainty(results, found, "age_gender").cells]
    by_level = {line[1]: line[2:] for line in lines if line[0] == "gender accuracy (%)"}
    one = change_of(found, results.of("age_gender")[2], "utkface.gender_accuracy")
    assert by_level["float32"][2:] == ["", "", "", ""]
    assert by_level["int8"][2] == change("gender_accuracy", one.change, 0.0)
    assert by_level["int8"][4:] == [f"{one.p_value:.3f}", one.verdict]


def test_further_metrics_stand_apart(results, found):
    header = tables.further(results, found, "age_gender", "utkface").header
    assert "gender balanced accuracy (%)" in header and "gender weighted F1 (%)" in header
    assert not set(header) & set(tables.variants(results, found, "age_gender", "utkface", False).header[1:])


def test_a_failed_level_is_a_row_with_its_reason(results, found):
    table = rows(tables.variants(results, found, "expression", "fer2013", costs=True))
    assert table["int8"][-1] == REASON
    assert set(table["int8"][:-1]) == {"\N{EN DASH}"}


def test_levels_stand_without_changes_where_float32_is_missing(results):
    without = replace(results, variants=results.variants[1:])
    found = compare(without, all_predictions(without))
    assert "(" not in "".join(rows(tables.variants(without, found, "age_gender", "photos", False))["int8"])


def test_groups_stand_in_their_own_order_above_the_gap(results):
    found = rows(tables.groups(results, "age_gender", "utkface.age_mae", "age_band"))
    assert list(found)[:3] == ["0-2", "3-9", "10-19"]
    gap = float(found.pop("gap, best to worst")[1])
    errors = [float(cells[1]) for cells in found.values()]
    assert gap == pytest.approx(max(errors) - min(errors), abs=0.011)


def test_one_group_alone_is_no_comparison(results):
    assert not tables.groups(results, "age_gender", "photos.gender_accuracy", "race")


def test_picture_sources_are_compared_where_several_have_the_metric(results):
    table = rows(tables.sources(results, "age_gender", "utkface.gender_accuracy"))
    assert list(table) == ["utkface", "photos", "gap, best to worst"]
    assert table["photos"][0] == "18"
    assert not tables.sources(results, "age_gender", "utkface.age_mae"), "photos have no ages"


def test_what_a_level_does_to_every_group_is_against_float32(results, found):
    table = tables.group_changes(results, found, "age_gender", "utkface.age_mae")
    assert table.header == ["by", "group", "float16", "int8"]
    black = next(cells for cells in table.cells if cells[1].text == "black")
    one = found["age_gender", "int8", "utkface"].group_changes["race", "black"]["age_mae"]
    assert black[3].sort == one.change
    assert black[3].text.startswith(change("age_mae", one.change, 0.0))


def test_copies_are_told_and_what_became_of_them(results):
    assert tables.copies(results) == ""
    index = results.faces["utkface"].assign(image=[f"{i}.jpg" for i in range(20)])
    index.loc[:2, ["status", "same_as"]] = ["measured_too", "15.jpg"]
    index.loc[3, ["status", "same_as"]] = ["duplicate", "4.jpg"]
    index.loc[5:6, ["status", "same_as"]] = ["contradictory", "5.jpg"]
    told = tables.copies(replace(results, faces={"utkface": index}))
    assert "1 of the measured pictures were also in its other splits (3 files)" in told
    assert "1 files are copies of a picture in the same split" in told
    assert "2 files show 1 pictures that have contradictory labels" in told


def test_pictures_that_were_not_read_have_no_split_and_are_counted(results):
    index = results.faces["utkface"].copy()
    index.loc[index["status"] == "bad_name", "split"] = None
    counts = reject_counts(index)
    assert counts.loc["none", "bad_name"] == 1
    assert counts.loc["all"].sum() == len(index)


def test_rejects_are_counted_per_split_and_reason(results):
    counts = reject_counts(results.faces["utkface"])
    assert list(counts.columns) == ["ok", "bad_name", "no_face"]
    assert counts.loc["val"].tolist() == [2, 1, 2]
    assert counts.loc["all"].tolist() == [17, 1, 2]
    assert "| utkface | val | bad_name 1, no_face 2 | 5 | 2 | 40.0 |" in tables.faces(results).markdown()
