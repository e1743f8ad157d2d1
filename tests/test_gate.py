import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fake_outs import STUDY
from pocketface.errors import PocketfaceError
from pocketface.gate import baseline_path, check, tolerance_of, update
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
STAGE = Path(__file__).parents[1] / "stages/check.py"


@pytest.fixture
def study(tmp_path):
    """A study with a report and its baseline below `tmp_path`."""
    measured(tmp_path, FIGURES)
    study = Study.model_validate(STUDY)
    assert update(study, tmp_path)
    return study


def measured(root, figures):
    path = root / "reports/tiny/metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures))


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
    assert verdict.passed and "all 10 figures" in verdict.text()
    written = json.loads((tmp_path / "reports/tiny/check.json").read_text())
    assert written["passed"] and len(written["rows"]) == 10


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
    assert [str(row) for row in verdict.wrong] == [line]
    assert line in verdict.text() and "pocketface check --update" in verdict.text()
    assert json.loads((tmp_path / "reports/tiny/check.json").read_text())["passed"] is False


def test_a_variant_that_is_gone_or_recovered_is_named(study, tmp_path):
    changed = copy.deepcopy(FIGURES)
    del changed["age_gender"]["int8"]
    changed["expression"]["int8"] = {"size_bytes": 1}
    measured(tmp_path, changed)
    assert {str(row) for row in check(study, tmp_path).wrong} == {
        "missing: age_gender/int8 variant: was runs, is absent, allowed no change",
        "better: expression/int8 variant: was failed, is runs, allowed no change",
    }


def test_the_most_specific_tolerance_wins():
    tolerances = {"mae": 1.0, "age_mae": 2.0, "utkface.age_mae": 3.0, "n": 0}
    names = ["utkface.age_mae", "photos.age_mae", "photos.height_mae", "photos.n", "photos.glow"]
    assert [tolerance_of(name, tolerances) for name in names] == [3.0, 2.0, 1.0, 0, 0]


def test_an_update_keeps_tolerances_and_shows_what_changed(study, tmp_path):
    path = baseline_path("tiny", tmp_path)
    path.write_text(path.read_text().replace("tolerances:\n", "tolerances:\n  utkface.age_mae: 50%\n"))
    planted(tmp_path, "age_gender", "int8", **{"utkface.age_mae": 7.0})
    assert check(study, tmp_path).passed
    diff = update(study, tmp_path)
    assert "-      utkface.age_mae: 6.3\n+      utkface.age_mae: 7.0\n" in diff
    assert yaml.safe_load(path.read_text())["tolerances"]["utkface.age_mae"] == "50%"
    assert update(study, tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"tiny\.yaml: no baseline.*pocketface check --update"),
        ("tolerances: {mae: 5 percent}\nmodels: {}", r"tiny\.yaml: tolerances\.mae.*5 percent"),
        ("tolerances: {mae: -1}\nmodels: {}", r"tiny\.yaml: tolerances\.mae"),
        ("models: [", r"tiny\.yaml: not valid YAML"),
        ("tolerances: {}\nmodels: {m: {int8: lost}}", r"tiny\.yaml: models\.m\.int8"),
    ],
)
def test_an_unusable_baseline_is_told(study, tmp_path, text, message):
    path = baseline_path("tiny", tmp_path)
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(PocketfaceError, match=message):
        check(study, tmp_path)


def test_a_missing_or_damaged_report_is_told(study, tmp_path):
    measured(tmp_path, {"age_gender": {"int8": {"size_bytes": "large"}}})
    with pytest.raises(PocketfaceError, match=r"metrics\.json: not what `report` writes"):
        check(study, tmp_path)
    (tmp_path / "reports/tiny/metrics.json").unlink()
    with pytest.raises(PocketfaceError, match=r"metrics\.json: no such file; .*dvc repro report"):
        check(study, tmp_path)


def test_the_stage_exits_with_1_on_a_regression_and_2_on_bad_input(study, tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(STUDY))

    def run():
        return subprocess.run(
            [sys.executable, STAGE], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
        )

    assert run().returncode == 0
    planted(tmp_path, "age_gender", "int8", **{"utkface.age_mae": 9.0})
    failed = run()
    assert failed.returncode == 1 and "worse: age_gender/int8 utkface.age_mae" in failed.stdout
    baseline_path("tiny", tmp_path).unlink()
    assert run().returncode == 2
