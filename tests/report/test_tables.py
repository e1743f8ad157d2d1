import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment

from fake_outs import REASON, write_outs
from pocketface.choosing.rule import pick
from pocketface.choosing.settings import Champion
from pocketface.core.labels import GENDERS
from pocketface.metrics.naming import LONGEST, MISSING, change, short, spread
from pocketface.report import tables
from pocketface.report.cells import Cell, Table
from pocketface.report.outs import Results, Variant, reject_counts
from pocketface.report.text import measured_on
from pocketface.results.table import FLOAT32, GAP, STATUS, Row
from pocketface.results.table import Table as Measured


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    return Results.load(outs.study, outs.root)


@pytest.fixture(scope="module")
def picks(results):
    return {model: pick(results.table, model, results.study.champion) for model in results.study.models}


def with_rows(results, rows):
    """The results with other rows."""
    table = Measured(tuple(rows))
    return replace(results, table=table, variants=tuple(replace(v, table=table) for v in results.variants))


def rows(table):
    """Text of the first cell -> texts of the others."""
    return {cells[0].text: [cell.text for cell in cells[1:]] for cells in table.cells}


def test_markdown_escapes_bars_and_keeps_one_line_per_row():
    cells = ["x|y", Cell("1\n2", tone="total"), Cell("z", href="https://a.org")]
    assert Table(["a", "b", "c"], [cells]).markdown().splitlines() == [
        "| a | b | c |",
        "| :-- | --: | --: |",
        r"| x\|y | **1 2** | [z](https://a.org) |",
    ]


def test_markdown_takes_no_tag_and_no_link_from_a_cell():
    cells = ["<script>x</script>", "a < 1 & b", "![x](https://a.org)", "&lt;", "`a` **b** _c_ age_mae", "\\|"]
    assert Table([*"abcdef"], [cells]).markdown().splitlines()[-1] == (
        r"| &lt;script>x&lt;/script> | a < 1 & b | ![x]\(https://a.org) "
        r"| &amp;lt; | \`a\` \*\*b\*\* \_c\_ age_mae | \\\| |"
    )


def test_the_first_table_says_what_to_take_and_at_what_cost(results, picks):
    lines = [[cell.text for cell in cells] for cells in tables.take(results, picks).cells]
    assert [line[0] for line in lines] == ["age_gender", "", "expression"]
    level = picks["age_gender"].take.level
    row = results.table.get("age_gender", level, "age_mae", "utkface")
    assert lines[0][1:3] == [level, "age MAE (years), utkface"]
    assert lines[0][4] == f"{row.value:.2f}" and row.verdict in lines[0][5] and lines[0][-1] == "240"
    assert lines[0][6] == f"{row.constant:.2f}"


def test_a_model_without_a_level_within_the_limits_says_so(results):
    none = {"age_gender": pick(results.table, "age_gender", Champion(max_size_mb=1e-6))}
    assert rows(tables.take(results, none))["age_gender"][:2] == ["no level keeps within the limits", ""]


def test_models_that_are_not_available_are_one_line(results):
    def gone(row):
        why = "unavailable: weights unavailable: put it by hand"
        return replace(row, text=why) if row.metric == "status" else row

    told = tables.unavailable(with_rows(results, map(gone, results.table.rows)))
    reason = "(weights unavailable: put it by hand)"
    assert told == f"age_gender {reason}; expression {reason}"
    assert tables.unavailable(results) == ""


def test_levels_are_compared_with_float32(results, picks):
    found = rows(tables.levels(results, "age_gender", picks["age_gender"]))
    get = results.table.get
    float32, int8 = (get("age_gender", level, "age_mae", "utkface") for level in ("float32", "int8"))
    assert found["float32"][2] == f"{float32.value:.2f}"
    assert found["int8"][2] == f"{int8.value:.2f} (+{int8.value - float32.value:.2f})"
    assert found["int8"][:2] == ["331 kB (0.28x)", "1.40 ms (0.70x)"]
    assert len(found["constant baseline"]) == 4


def test_what_is_sorted_is_the_number_and_not_its_text(results):
    size = [cells[1].sort for cells in tables.levels(results, "age_gender").cells]
    assert size == [1_203_456, 612_345, 331_000, None], "1.20 MB is more than 612 kB"


def test_equal_files_are_measured_once(results):
    merged = with_rows(
        results,
        [
            replace(row, text="abc") if row.metric == "sha256" and row.model == "age_gender" else row
            for row in results.table.rows
        ],
    )
    assert rows(tables.levels(merged, "age_gender"))["int8"][0] == "same file as float32"
    for table in (tables.certainty(merged, "age_gender"), tables.latencies(merged)):
        assert {line[1].text for line in table.cells if line[0].text != "expression"} == {"float32"}
    assert list(rows(tables.every_metric(merged, "age_gender", "utkface"))) == ["float32"]


def test_every_change_has_its_interval_and_its_verdict(results):
    lines = [[cell.text for cell in cells] for cells in tables.certainty(results, "age_gender").cells]
    by_level = {line[1]: line[2:] for line in lines if line[0] == "gender accuracy (%)"}
    one = results.table.get("age_gender", "int8", "gender_accuracy", "utkface")
    assert by_level["float32"][2:] == ["", "", "", "", ""]
    assert by_level["int8"][2] == change("gender_accuracy", one.change, 0.0)
    assert by_level["int8"][4] == f"{one.p:.3f}" and by_level["int8"][6] == one.verdict


def test_further_metrics_stand_apart(results):
    table = tables.every_metric(results, "age_gender", "utkface")
    header, first = table.header, table.cells[0]
    assert "gender balanced accuracy (%)" in header and "gender weighted F1 (%)" in header
    assert not set(header) & set(tables.levels(results, "age_gender").header[1:])
    told = {name: cell.text for name, cell in zip(header, first, strict=True)}
    assert re.fullmatch(r"[\d.]+ \[[\d.]+ to [\d.]+\]", told["gender calibration error (%)"])
    assert re.fullmatch(r"[\d.]+", told["gender balanced accuracy (%)"])


def test_a_failed_level_is_a_row_with_its_reason(results):
    found = rows(tables.levels(results, "expression"))
    assert found["int8"] == [f"failed: {REASON}", "", ""]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("failed: tensorflow/lite/conv.cc:343 input != filter", "failed: input != filter"),
        ("failed: tensor net_1/pool/Avg has no range", "failed: a tensor has no range"),
        ("unavailable: put it there. Then run", "unavailable: put it there"),
        ("failed: " + "long " * 40, "failed: " + "long " * 16),
    ],
)
def test_reasons_are_short_and_without_names_of_c_files_and_tensors(reason, told):
    assert short(reason).startswith(told.strip()) and len(short(reason)) <= LONGEST


def test_groups_stand_in_their_own_order_above_the_gap(results, picks):
    found = rows(tables.groups(results, "age_gender", "utkface.age_mae", "age_band", picks["age_gender"]))
    assert list(found)[:3] == ["0-2", "3-9", "10-19"]
    assert list(found)[-1] == "gap, best to worst"
    row = results.table.get("age_gender", "float32", "age_mae", "utkface", "age_band", GAP)
    assert found["gap, best to worst"][1] == f"{row.value:.2f} [{spread('age_mae', row.low, row.high)}]"
    errors = {group: float(cells[1].partition(" ")[0]) for group, cells in found.items()}
    best, worst = (errors[group] for group in row.text.split(" to "))
    assert row.value == pytest.approx(worst - best, abs=0.011)
    few = {group for group, cells in list(found.items())[:-1] if int(cells[0]) < 30}
    assert few and not few & set(row.text.split(" to ")), "a gap is between groups of 30 faces"


def test_ages_have_their_signed_error_and_rates_of_equal_ages(results, picks):
    assert list(tables.grouped(results, "age_gender"))[-1] == "utkface.age_bias"
    names = tables.grouped(results, "age_gender")["utkface.age_bias"]
    assert {"gender", "gender, age-standardised"} <= set(names)
    assert not [name for name in names if name.startswith("age_band,")]
    crude, fair = (
        rows(tables.groups(results, "age_gender", "utkface.age_bias", by, picks["age_gender"]))
        for by in ("gender", "gender, age-standardised")
    )
    assert list(crude) == list(fair) == [*GENDERS, "gap, best to worst"]
    assert crude["male"][0] == fair["male"][0] and crude["male"][1] != fair["male"][1]


def test_groups_by_two_labels_are_a_matrix_with_a_dash_where_faces_are_few(results, picks):
    by, chosen = "gender x age_band", picks["age_gender"]
    crossed = [
        Row("age_gender", level, "gender_accuracy", "utkface", by, group, n=n, value=0.9)
        for group, n in (("male, 3-9", 31), ("female, 20-29", 40), ("male, 20-29", 30))
        for level in ("float32", chosen.take.level)
    ]
    rest = [row for row in results.table.rows if row.grouping != by]
    now = with_rows(results, [*rest, *crossed])
    found = tables.groups(now, "age_gender", "utkface.gender_accuracy", by, chosen)
    assert list(found.header) == [f"{by.replace('_', ' ')}, {chosen.take.level}", "male", "female"]
    assert rows(found) == {"3-9": ["90.0 (31)", MISSING], "20-29": ["90.0 (30)", "90.0 (40)"]}


def test_it_is_said_whether_persons_are_known(results):
    assert tables.persons(results) == (
        "Persons are unknown of utkface, fer2013, photos: each face counts as another one."
    )
    index = results.faces["utkface"].assign(identity=["7"] + [None] * 19)
    told = tables.persons(replace(results, faces={"utkface": index, "photos": results.faces["photos"]}))
    assert told.startswith(
        "Persons are known of utkface: intervals and tests go by person. Persons are unknown"
    )
    found = tables.persons(replace(results, faces={"utkface": index.assign(identity="dlib:0a1b")}))
    assert found.startswith("Persons are known of utkface (by dlib's face descriptor): intervals")


def test_beside_celebrities_it_is_said_who_saw_them(results):
    assert "IMDB-WIKI" not in measured_on(results)
    celeba = with_rows(results, (replace(r, dataset=r.dataset and "celeba") for r in results.table.rows))
    assert measured_on(celeba).endswith("seen people who are measured here.")


def test_faces_without_a_label_are_not_said_to_be_measured(results):
    found = (replace(row, n=999) if row.metric == "faces" else row for row in results.table.rows)
    told = measured_on(with_rows(results, found))
    assert told == measured_on(results) and "240 faces of utkface" in told


def test_one_group_alone_is_no_comparison(results, picks):
    assert not tables.groups(results, "age_gender", "photos.gender_accuracy", "race", picks["age_gender"])


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


def test_rejects_are_counted_per_split_and_reason_and_those_not_read_without_a_split(results):
    index = results.faces["utkface"]
    counts = reject_counts(index)
    assert list(counts.columns) == ["ok", "bad_name", "no_face"]
    assert counts.loc["val"].tolist() == [2, 1, 2]
    unread = index.assign(split=index["split"].mask(index["status"] == "bad_name"))
    assert reject_counts(unread).loc["none", "bad_name"] == 1
    for found in (counts, reject_counts(unread)):
        assert found.loc["all"].tolist() == [17, 1, 2]
    assert "| utkface | val | bad_name 1, no_face 2 | 5 | 2 | 40.0 |" in tables.faces(results).markdown()


def test_a_word_with_a_comma_is_one_group():
    name, groups = "race x age_band", [f"hispanic, latino, {band}" for band in ("20-29", "30-39")]
    found = [Row("m", FLOAT32, "gender_accuracy", "d", name, one, n=40, value=0.9) for one in groups]
    table = Measured((Row("m", FLOAT32, STATUS), *found))
    variant = Variant("m", FLOAT32, Path(), None, table, None)
    only = SimpleNamespace(running=lambda model: [variant])
    told = tables.groups(only, "m", "d.gender_accuracy", name, pick(table, "m", Champion()))
    assert list(told.header[1:]) == ["hispanic, latino"] and len(told.rows) == 2


def test_a_table_of_two_columns_has_no_sentences():
    page = Path(tables.__file__).with_name("template") / "page.html.j2"
    macro = page.read_text(encoding="utf-8").partition("{% endmacro %}")[0]
    template = Environment(autoescape=True).from_string(macro + "{% endmacro %}{{ table(of, 'x') }}")
    two = template.render(of=Table(["level", "metric"], [["float32", Cell("90.1", 0.9)]]))
    assert 'class="n" data-sort="0.9"' in two and "fixed" not in two
