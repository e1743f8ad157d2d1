"""The whole graph on tiny drawn datasets, by DVC itself, in a copy of the repository."""

import json
import sqlite3
from contextlib import closing

import pytest
import yaml
from copies import PARAMS, Copy, tiny_copy

MODELS = ("age_gender", "expression")
"""One is trained, one is published."""
FETCHED = ("select_faces", "export", "convert", "evaluate", "benchmark")
"""Stages of a published model, besides the one that fetches it."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A fresh copy, committed, in which `pocketface run` has run to the end."""
    made = tiny_copy(tmp_path_factory.mktemp("pipeline"), PARAMS)
    made.commit()
    printed = made.run("pocketface", "run")
    assert "no baseline for study tiny" in printed and "4 variants published" in printed
    return made


def test_a_first_run_changes_two_files_that_git_has(copy: Copy) -> None:
    changed = copy.run("git", "status", "--porcelain", "--untracked-files=all")
    assert [line.split()[1] for line in changed.splitlines()] == ["dvc.lock", "reports/tiny/metrics.json"]


def test_the_graph_makes_every_variant_and_a_comparison(copy: Copy) -> None:
    outs = copy.outs()
    for model in MODELS:
        for level in PARAMS["levels"]:
            assert f"variants/{model}/{level}/model.tflite" in outs
            assert (copy.root / "timings" / model / f"{level}.json").exists()
    comparison = (copy.root / "reports/tiny/comparison.md").read_text()
    assert "age_gender" in comparison
    assert "expression" in comparison


def test_a_second_run_does_nothing(copy: Copy) -> None:
    assert "Data and pipelines are up to date" in copy.run("dvc", "repro")


def test_stages_that_run_cold_make_the_same_bytes(copy: Copy) -> None:
    warm = copy.outs()
    assert len(warm) > 30
    copy.forget("models/age_gender", "variants/age_gender/int8")
    copy.run("python", "stages/train.py", "age_gender")
    copy.run("python", "stages/convert.py", "age_gender", "int8")
    assert copy.outs() == warm


def test_malformed_names_are_rows_of_the_index(copy: Copy) -> None:
    import pandas as pd

    index = pd.read_parquet(copy.root / "data/faces/utkface/index.parquet")
    assert (index["status"] == "bad_name").sum() == 5
    assert (index["status"] == "ok").sum() > 40


def changed(path: str, value: object) -> dict:
    """The tiny params with one field changed, named like `levels.int8.calibration`."""
    params = json.loads(json.dumps(PARAMS))
    *parents, last = path.split(".")
    stanza = params
    for name in parents:
        stanza = stanza[name]
    stanza[last] = value
    return params


def test_a_levels_setting_changes_only_that_level(copy: Copy) -> None:
    made = {"convert@age_gender-int8", "convert_fetched@expression-int8"}
    assert copy.changed_by(changed("levels.int8.calibration", 9)) == made | {"results", "report"}


def test_a_learning_rate_changes_only_that_model(copy: Copy) -> None:
    slower = changed("models.age_gender.training.learning_rate", 0.001)
    assert copy.changed_by(slower) == {*("learns_from@age_gender", "train@age_gender", "results", "report")}


def test_another_model_changes_nothing_of_this_one(copy: Copy) -> None:
    copy.params(changed("models.another", PARAMS["models"]["age_gender"]))
    stages = ("learns_from", "train", "select_faces", "export", "benchmark")
    told = copy.run("dvc", "status", *(f"{stage}@age_gender" for stage in stages))
    copy.params(PARAMS)
    assert "Data and pipelines are up to date" in told


def test_asking_for_folds_runs_nothing_else(copy: Copy) -> None:
    assert copy.changed_by(changed("cross_validate.age_gender", 2)) == {"cross_validate@age_gender"}


def test_a_fetched_model_goes_the_same_way_but_for_training(copy: Copy) -> None:
    ran = yaml.safe_load((copy.root / "dvc.lock").read_text())["stages"]
    stages = {name.partition("@")[0] for name in ran if name.partition("@")[2].startswith("expression")}
    assert stages == {"fetch_weights", "micro", *(f"{stage}_fetched" for stage in FETCHED)}


def test_a_regression_fails_the_run_and_is_named_and_tracked(copy: Copy) -> None:
    path = copy.root / "baselines/tiny.yaml"
    copy.start("pocketface", "check", "--update").communicate()  # the tiny models are worse than a constant
    before = path.read_text()
    baseline = yaml.safe_load(before)
    baseline["rules"] = {"ceilings": {"int8/utkface.age_mae": 0.5}}
    path.write_text(yaml.safe_dump(baseline))
    process = copy.start("pocketface", "run")
    printed, _ = process.communicate()
    path.write_text(before)
    assert process.returncode == 1
    for part in (
        "age_gender/int8: utkface.age_mae",
        "at most 0.5 is asked",
        "open reports/tiny/",
        "track: nothing new",
    ):
        assert part in printed


def test_a_run_publishes_every_variant_once(copy: Copy) -> None:
    with closing(sqlite3.connect(copy.root / "mlflow.db")) as store:
        (runs,) = store.execute("SELECT COUNT(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()
        (variants,) = store.execute("SELECT COUNT(*) FROM tags WHERE key = 'level'").fetchone()
    assert variants == len(MODELS) * len(PARAMS["levels"])
    assert runs == variants + len(MODELS) + 1, "and one with the report"


def test_unknown_names_in_params_end_with_status_2(copy: Copy) -> None:
    copy.params(changed("models.age_gender.architecture", "resnet"))
    process = copy.start("python", "stages/learns_from.py", "age_gender")
    printed, _ = process.communicate()
    copy.params(PARAMS)
    assert process.returncode == 2
    assert "models.age_gender.architecture: no 'resnet'" in printed
    assert "Traceback" not in printed
