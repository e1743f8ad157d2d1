"""The whole graph on tiny drawn datasets, by DVC itself, in a copy of the repository."""

import json

import pytest
import yaml
from copies import PARAMS, Copy, tiny_mirror


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copy, Copy]:
    """Two fresh copies in which the graph has run, side by side, in the second with warm stages.

    The first has a baseline and was checked.
    """
    root = tmp_path_factory.mktemp("pipeline")
    mirror, sources = tiny_mirror(root)
    made = [Copy(root / name, PARAMS, sources, mirror) for name in ("a", "b")]
    runs = [made[0].start("dvc", "repro", "report"), made[1].start("pocketface", "run", "report")]
    for run in runs:
        printed, _ = run.communicate()
        assert run.returncode == 0, printed
    made[0].run("pocketface", "check", "--update")
    made[0].run("dvc", "repro")
    return made[0], made[1]


def test_the_graph_makes_every_variant_and_a_comparison(copies: tuple[Copy, Copy]) -> None:
    outs = copies[0].outs()
    for model in PARAMS["models"]:
        for level in PARAMS["levels"]:
            assert f"variants/{model}/{level}/model.tflite" in outs
            assert (copies[0].root / "timings" / model / f"{level}.json").exists()
    comparison = (copies[0].root / "reports/tiny/comparison.md").read_text()
    assert "age_gender" in comparison
    assert "expression" in comparison


def test_the_web_app_is_handed_every_variant(copies: tuple[Copy, Copy]) -> None:
    index = json.loads((copies[0].root / "app_bundle/index.json").read_text())
    assert {f"{row['model']}/{row['level']}" for row in index["variants"] if "file" in row} == {
        f"{model}/{level}" for model in PARAMS["models"] for level in PARAMS["levels"]
    }


def test_a_second_run_does_nothing(copies: tuple[Copy, Copy]) -> None:
    assert "Data and pipelines are up to date" in copies[0].run("dvc", "repro")


def test_two_fresh_runs_make_the_same_bytes_but_for_timings(copies: tuple[Copy, Copy]) -> None:
    first, second = (copy.outs() for copy in copies)
    assert len(first) > 30
    assert first == second


def test_malformed_names_are_rows_of_the_index(copies: tuple[Copy, Copy]) -> None:
    import pandas as pd

    index = pd.read_parquet(copies[0].root / "data/faces/utkface/index.parquet")
    assert (index["status"] == "bad_name").sum() == 5
    assert (index["status"] == "ok").sum() > 40


def changed(path: str, value: object) -> dict:
    """The tiny params with one field changed, named like `levels.int8.calibration`."""
    params = json.loads(json.dumps(PARAMS))  # the models of PARAMS share a recipe, a deep copy would too
    *parents, last = path.split(".")
    stanza = params
    for name in parents:
        stanza = stanza[name]
    stanza[last] = value
    return params


def test_a_levels_setting_changes_only_that_level(copies: tuple[Copy, Copy]) -> None:
    made = {f"convert@{model}-int8" for model in PARAMS["models"]}
    assert copies[0].changed_by(changed("levels.int8.calibration", 9)) == made | {"report", "export_app"}


def test_a_learning_rate_changes_only_that_model(copies: tuple[Copy, Copy]) -> None:
    slower = changed("models.expression.training.learning_rate", 0.001)
    assert copies[0].changed_by(slower) == {
        *("learns_from@expression", "train@expression", "report", "export_app")
    }


def test_asking_for_folds_runs_nothing_else(copies: tuple[Copy, Copy]) -> None:
    assert copies[0].changed_by(changed("cross_validate.age_gender", 2)) == {"cross_validate@age_gender"}


def test_a_fetched_model_goes_the_same_way_but_for_training(copies: tuple[Copy, Copy]) -> None:
    copy = copies[0]
    stanza = {name: value for name, value in PARAMS["models"]["expression"].items() if name != "training"}
    copy.params(changed("fetched.known", stanza | {"weights": "known"}))
    listed = copy.run("dvc", "stage", "list", "--name-only").split()
    copy.params(PARAMS)
    stages = {name.partition("@")[0] for name in listed if name.partition("@")[2].startswith("known")}
    assert stages == {
        "fetch_weights",
        *(f"{stage}_fetched" for stage in ("select_faces", "export", "convert", "evaluate", "benchmark")),
    }


def test_a_regression_fails_the_run_and_is_named_and_tracked(copies: tuple[Copy, Copy]) -> None:
    copy = copies[0]
    path = copy.root / "baselines/tiny.yaml"
    before = path.read_text()
    baseline = yaml.safe_load(before)
    baseline["models"]["age_gender"]["int8"]["utkface.age_mae"] = 0.5
    path.write_text(yaml.safe_dump(baseline))
    process = copy.start("pocketface", "run")
    printed, _ = process.communicate()
    path.write_text(before)
    assert process.returncode == 1
    for part in (
        "age_gender",
        "int8",
        "utkface.age_mae",
        "0.5",
        "open reports/tiny/",
        "4 variants published",
    ):
        assert part in printed


def test_track_publishes_every_variant_once(copies: tuple[Copy, Copy]) -> None:
    import mlflow

    copy = copies[0]
    for _ in range(2):
        copy.run("pocketface", "track")
    client = mlflow.MlflowClient(f"sqlite:///{copy.root / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    variants = [run for run in runs if "level" in run.data.tags]
    assert len(variants) == len(PARAMS["models"]) * len(PARAMS["levels"])
    assert len(runs) == len(variants) + len(PARAMS["models"])


def test_unknown_names_in_params_end_with_status_2(copies: tuple[Copy, Copy]) -> None:
    copy = copies[1]
    copy.params(changed("models.age_gender.architecture", "resnet"))
    process = copy.start("python", "stages/train.py", "age_gender")
    printed, _ = process.communicate()
    copy.params(PARAMS)
    assert process.returncode == 2
    assert "models.age_gender.architecture: no 'resnet'" in printed
    assert "Traceback" not in printed
