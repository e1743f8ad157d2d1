import copy
import json
from xml.etree import ElementTree

import pytest
import yaml

from fake_outs import STUDY
from pocketface.core.errors import PocketfaceError
from pocketface.gate import check, update
from pocketface.gate.baseline import Baseline, Rule, baseline_path, default_rules, noise_of
from pocketface.results.table import FACES, RESULTS, STATUS, Row, Table
from pocketface.study import Study

FIGURES = {
    "age_gender": {
        "float32": {
            "size_bytes": 1_200_000,
            "utkface.n": 3500,
            "utkface.age_mae": 6.2,
            "utkface.gender_accuracy": 0.912,
        },
        "int8": {
            "size_bytes": 330_000,
            "utkface.n": 3500,
            "utkface.age_mae": 6.3,
            "photos.gender_accuracy": 0.9,
        },
    },
    "expression": {"float32": {"fer2013.expression_accuracy": 0.61}, "int8": {"status": "failed"}},
}


@pytest.fixture
def study(tmp_path):
    """A study with a report and its baseline below `tmp_path`."""
    measured(tmp_path, FIGURES)
    study = Study.model_validate(STUDY)
    assert update(study, tmp_path)
    return study


def measured(root, figures):
    rows = []
    for model, levels in figures.items():
        for level, told in levels.items():
            reason = (
                f"{told['status']}: {told.get('reason', 'no reason given')}" if "status" in told else None
            )
            rows.append(Row(model, level, STATUS, text=reason))
            for name, value in told.items():
                if not isinstance(value, str):
                    dataset, _, metric = name.rpartition(".")
                    rows.append(Row(model, level, FACES if metric == "n" else metric, dataset, value=value))
    Table(tuple(rows)).write(root / RESULTS)


def planted(root, model, level, **figures):
    """A report with some figures changed; None takes one out."""
    changed = copy.deepcopy(FIGURES)
    variant = changed[model].setdefault(level, {})
    for name, value in figures.items():
        variant[name] = value
        if value is None:
            del variant[name]
    measured(root, changed)


def test_unchanged_figures_pass(study, tmp_path):
    verdict = check(study, tmp_path)
    assert verdict.passed and f"all {len(verdict.rows)} comparisons" in verdict.text()
    values = [row for row in verdict.rows if row.check in ("value", "variant")]
    gaps = [(row.variant, row.metric) for row in verdict.rows if row.check == "gap"]
    assert len(values) == 10 and gaps == [("age_gender/int8", "utkface.age_mae")]


def test_changes_within_tolerance_pass(study, tmp_path):
    planted(
        tmp_path,
        "age_gender",
        "float32",
        **{"utkface.age_mae": 6.35, "utkface.gender_accuracy": 0.902, "size_bytes": 1_260_000},
    )
    assert check(study, tmp_path).passed


@pytest.mark.parametrize(
    ("level", "change", "line"),
    [
        (
            "float32",
            {"utkface.gender_accuracy": 0.874},
            "worse: age_gender/float32 utkface.gender_accuracy: was 0.912, is 0.874, allowed ±0.01",
        ),
        (
            "float32",
            {"utkface.gender_accuracy": 0.99},
            "better: age_gender/float32 utkface.gender_accuracy: was 0.912, is 0.99, allowed ±0.01",
        ),
        (
            "int8",
            {"utkface.age_mae": 6.46},
            "worse: age_gender/int8 utkface.age_mae: was 6.3, is 6.46, allowed ±0.15",
        ),
        (
            "int8",
            {"utkface.age_mae": 3.0},
            "better: age_gender/int8 utkface.age_mae: was 6.3, is 3.0, allowed ±0.15",
        ),
        (
            "int8",
            {"size_bytes": 350_000},
            "worse: age_gender/int8 size_bytes: was 330000, is 350000, allowed ±5%",
        ),
        (
            "int8",
            {"size_bytes": 90_000},
            "better: age_gender/int8 size_bytes: was 330000, is 90000, allowed ±5%",
        ),
        (
            "int8",
            {"utkface.n": 3499},
            "different: age_gender/int8 utkface.n: was 3500, is 3499, allowed no change",
        ),
        (
            "int8",
            {"photos.gender_accuracy": None},
            "missing: age_gender/int8 photos.gender_accuracy: was 0.9, is absent, allowed ±0.01",
        ),
        (
            "int8",
            {"photos.age_mae": 9.0},
            "new: age_gender/int8 photos.age_mae: was absent, is 9.0, allowed ±0.15",
        ),
        (
            "int8",
            {"status": "failed"},
            "worse: age_gender/int8 variant: was runs, is failed, allowed no change",
        ),
        (
            "int16x8",
            {"size_bytes": 1},
            "new: age_gender/int16x8 variant: was absent, is runs, allowed no change",
        ),
    ],
)
def test_each_planted_change_is_named(study, tmp_path, level, change, line):
    planted(tmp_path, "age_gender", level, **change)
    verdict = check(study, tmp_path)
    assert [str(row) for row in verdict.wrong if row.check in ("value", "variant")] == [line]
    assert line in verdict.text() and "pocketface check --update" in verdict.text()


def test_a_variant_that_is_gone_or_recovered_is_named(study, tmp_path):
    changed = copy.deepcopy(FIGURES)
    del changed["age_gender"]["int8"]
    changed["expression"]["int8"] = {"size_bytes": 1}
    measured(tmp_path, changed)
    assert {str(row) for row in check(study, tmp_path).wrong} == {
        "missing: age_gender/int8 variant: was runs, is absent, allowed no change",
        "better: expression/int8 variant: was failed, is runs, allowed no change",
    }


def test_the_most_specific_rule_wins_field_by_field():
    baseline = Baseline.model_validate(
        {
            "rules": {
                "mae": {"tolerance": 1, "gap": 5},
                "age_mae": {"tolerance": 2},
                "utkface.age_mae": {"tolerance": 3},
                "int8/mae": {"gap": 6},
                "small/int8/utkface.age_mae": {"ceiling": 9},
            },
            "models": {},
        }
    )
    assert baseline.rule("small", "int8", "utkface.age_mae") == Rule(tolerance=3, gap=6, ceiling=9)
    assert baseline.rule("small", "float32", "photos.age_mae") == Rule(tolerance=2, gap=5)
    assert baseline.rule("small", "int8", "photos.height_mae") == Rule(tolerance=1, gap=6)
    assert baseline.rule("small", "int8", "photos.glow") == Rule()
    assert baseline.rule("small", "int8", "photos.gender_accuracy") == default_rules()["accuracy"]


def test_noise_is_taken_from_the_number_of_faces_or_from_the_interval():
    figures = {"photos.n": 18, "photos.gender_accuracy": 0.5, "photos.age_mae": 6.0, "size_bytes": 5}
    error, face = noise_of("photos.gender_accuracy", figures)
    assert (error, face) == (pytest.approx(0.5 / 18**0.5), pytest.approx(1 / 18))
    assert noise_of("photos.age_mae", figures) == (pytest.approx(6 / 18**0.5), 0)
    assert noise_of("size_bytes", figures) == (0, 0)
    known = figures | {"photos.age_mae_low": 5.02, "photos.age_mae_high": 6.98}
    assert noise_of("photos.age_mae", known)[0] == pytest.approx(0.5)


@pytest.mark.parametrize(("accuracy", "passed"), [(0.944444, True), (0.888889, False)])
def test_of_18_photographs_one_may_change_and_not_two(tmp_path, accuracy, passed):
    study = Study.model_validate(STUDY)

    def measure(value):
        measured(tmp_path, {"small": {"float32": {"photos.n": 18, "photos.gender_accuracy": value}}})

    measure(1.0)
    update(study, tmp_path)
    measure(accuracy)
    assert check(study, tmp_path).passed is passed


def test_the_ends_of_an_interval_are_not_compared(study, tmp_path):
    ends = {"utkface.age_mae_low": 6.2, "utkface.age_mae_high": 6.4}
    planted(tmp_path, "age_gender", "int8", **ends)
    update(study, tmp_path)
    planted(tmp_path, "age_gender", "int8", **dict.fromkeys(ends, 50.0))
    assert check(study, tmp_path).passed


def ruled(root, **rules):
    """Puts rules into the baseline."""
    path = baseline_path("tiny", root)
    lines = "".join(f"  {name}: {json.dumps(rule)}\n" for name, rule in rules.items())
    path.write_text(path.read_text().replace("rules:\n", f"rules: # ours\n{lines}"))


def test_limits_hold_whatever_the_baseline_says(study, tmp_path):
    rules = {
        "age_gender/int8/utkface.age_mae": {"ceiling": 6.0},
        "float32/gender_accuracy": {"floor": 0.95},
        "int8/size_bytes": {"ceiling": 300_000},
    }
    ruled(tmp_path, **rules)
    update(study, tmp_path)
    assert [str(row) for row in check(study, tmp_path).wrong] == [
        "worse: age_gender/float32 utkface.gender_accuracy: was 0.912, is 0.912, allowed at least 0.95",
        "worse: age_gender/int8 size_bytes: was 330000, is 330000, allowed at most 300000",
        "worse: age_gender/int8 utkface.age_mae: was 6.3, is 6.3, allowed at most 6",
    ]


def test_a_gap_to_float32_is_bounded_and_so_is_its_growth(study, tmp_path):
    changed = copy.deepcopy(FIGURES)
    changed["age_gender"]["float32"]["utkface.age_mae"] = 6.1  # each within its tolerance, but apart
    changed["age_gender"]["int8"]["utkface.age_mae"] = 6.4
    measured(tmp_path, changed)
    grown = [
        "worse: age_gender/int8 utkface.age_mae, growth of the gap to float32: was 0.1, is 0.3, "
        "allowed at most 0.15 more"
    ]
    assert [str(row) for row in check(study, tmp_path).wrong] == grown
    ruled(tmp_path, age_mae={"gap": 0.25})
    wrong = [str(row) for row in check(study, tmp_path).wrong]
    assert wrong == [
        "worse: age_gender/int8 utkface.age_mae, gap to float32: was 0.1, is 0.3, allowed at most 0.25",
        *grown,
    ]
    update(study, tmp_path)
    assert [row.check for row in check(study, tmp_path).wrong] == ["gap"], "an update cannot bless it"


def test_an_update_keeps_the_rules_as_written_and_shows_what_changed(study, tmp_path):
    path = baseline_path("tiny", tmp_path)
    ruled(tmp_path, **{"utkface.age_mae": {"tolerance": "50%", "growth": 9}})
    planted(tmp_path, "age_gender", "int8", **{"utkface.age_mae": 7.0})
    assert check(study, tmp_path).passed
    diff = update(study, tmp_path)
    assert "-      utkface.age_mae: 6.3\n+      utkface.age_mae: 7.0\n" in diff
    assert yaml.safe_load(path.read_text())["rules"]["utkface.age_mae"]["tolerance"] == "50%"
    assert "rules: # ours\n" in path.read_text()
    assert update(study, tmp_path) == ""


def test_a_reason_is_told_and_kept(study, tmp_path):
    reason = "no kernel for CONV_2D"
    planted(tmp_path, "age_gender", "int8", status="failed", reason=reason)
    (row,) = check(study, tmp_path).wrong
    assert str(row) == (f"worse: age_gender/int8 variant: was runs, is failed: {reason}, allowed no change")
    update(study, tmp_path)
    assert f"int8: 'failed: {reason}'" in baseline_path("tiny", tmp_path).read_text()
    planted(tmp_path, "age_gender", "int8", status="failed", reason="another reason")
    assert check(study, tmp_path).passed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"tiny\.yaml: no baseline.*pocketface check --update"),
        ("rules: {mae: {tolerance: 5 percent}}\nmodels: {}", r"tiny\.yaml: rules\.mae\.tolerance.*5 percent"),
        ("rules: {mae: {tolerance: -1}}\nmodels: {}", r"tiny\.yaml: rules\.mae\.tolerance"),
        ("rules: {age_mea: {gap: 1}}\nmodels: {}", r"tiny\.yaml: rules\.age_mea: fits no figure"),
        ("models: [", r"tiny\.yaml: not valid YAML"),
        ("rules: {}\nmodels: {m: {int8: lost}}", r"tiny\.yaml: models\.m\.int8"),
    ],
)
def test_an_unusable_baseline_is_told(study, tmp_path, text, message):
    path = baseline_path("tiny", tmp_path)
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(PocketfaceError, match=message):
        check(study, tmp_path)


def test_a_missing_or_damaged_report_is_told(study, tmp_path):
    (tmp_path / RESULTS).write_bytes(b"PAR1")
    with pytest.raises(PocketfaceError, match=r"results\.parquet: not a results table"):
        check(study, tmp_path)
    (tmp_path / RESULTS).unlink()
    with pytest.raises(PocketfaceError, match=r"results\.parquet: no such file; .*dvc repro results"):
        check(study, tmp_path)


def test_junit_has_a_case_per_comparison_and_names_the_wrong_ones(study, tmp_path):
    planted(tmp_path, "age_gender", "int8", **{"utkface.age_mae": 9.0})
    verdict = check(study, tmp_path)
    suites = ElementTree.fromstring(verdict.junit())
    assert len(list(suites.iter("testcase"))) == len(verdict.rows)
    wrong = {case.get("name"): case for case in suites.iter("testcase") if len(case)}
    assert list(wrong) == [f"utkface.age_mae, {rule}" for rule in ("value", "gap", "growth")]
    value = wrong["utkface.age_mae, value"]
    assert value.get("classname") == "tiny.age_gender.int8" and "is 9.0" in value[0].get("message")
    assert [suite.get("failures") for suite in suites] == ["3", "0"], "value, gap and growth"
    assert "<failure" not in passing(study, tmp_path).junit()


def test_markdown_says_what_is_wrong_and_shows_every_variant(study, tmp_path):
    planted(tmp_path, "age_gender", "int8", **{"utkface.age_mae": 9.0})
    told = check(study, tmp_path).markdown()
    assert told.startswith("### The gate **fails**")
    assert "float32 is as before, int8 changed" in told
    assert "| age_gender/int8 | utkface.age_mae | worse | 6.3 | 9 | ±0.15 |" in told
    assert "9.00 (+2.70)" in told and "| int8 | failed |" in told
    assert passing(study, tmp_path).markdown().startswith("### The gate passes")


def passing(study, root):
    measured(root, FIGURES)
    return check(study, root)
