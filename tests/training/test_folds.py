from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.core.labels import meaning
from pocketface.study import Study
from pocketface.training.folds import CrossValidation, cross_validate, references, save
from tiny_training import banded, face_set, study


def folded(count: int, **changes: object) -> Study:
    params = study(**changes).model_dump(mode="json")
    return Study.model_validate(params | {"cross_validate": {"small": count}})


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def result(runs: Path) -> CrossValidation:
    return cross_validate(folded(2, epochs=4), "small", [face_set(train=120)], runs, {})


def test_every_face_is_measured_once_by_a_model_that_did_not_see_it(
    result: CrossValidation, runs: Path, tmp_path: Path
) -> None:
    scores = result.scores
    ages = scores[(scores["metric"] == "age_mae") & (scores["estimator"] == "model")]
    assert ages["faces"].sum() == 136
    summary = result.summary()
    assert summary.loc[("age_mae", "model"), "mean"] == pytest.approx(ages["value"].mean())
    assert summary.loc[("age_mae", "model"), "std"] == pytest.approx(ages["value"].std())
    assert set(result.history["fold"]) == {0, 1}

    again = cross_validate(folded(2, epochs=4), "small", [face_set(train=120)], runs, {})
    for name, what in (("a", result), ("b", again)):  # from the finished folds' checkpoints
        save(what, tmp_path / name)
    written = {path.name for path in (tmp_path / "a").iterdir()}
    assert written == {"folds.csv", "folds.md", "history.csv", "metrics.json"}
    for path in (tmp_path / "a").iterdir():
        assert sha256(path) == sha256(tmp_path / "b" / path.name)
    table = (tmp_path / "a/folds.md").read_text()
    assert "| metric | model | majority | minority |" in table
    assert "| gender_accuracy | " in table


def test_weighted_f1_counts_every_class_as_often_as_it_occurs(result: CrossValidation) -> None:
    scores = result.scores[result.scores["estimator"] == "majority"]
    by_metric = scores.pivot(index="fold", columns="metric", values="value")
    assert "age_weighted_f1" not in by_metric
    share = by_metric["gender_accuracy"]  # of the one class answered, whose F1 is 2 share / (1 + share)
    np.testing.assert_allclose(by_metric["gender_weighted_f1"], share * 2 * share / (1 + share))


def test_reference_estimators_answer_the_commonest_the_rarest_and_the_median() -> None:
    train = pd.DataFrame({"age": [1.0, 30.0, 90.0], "gender": ["female", "female", "male"]})
    found = references(train, 2, {head: meaning(head) for head in ("age", "gender")})
    assert found["majority"].to_dict("list") == {"age_pred": [30, 30], "gender_pred": ["female"] * 2}
    assert found["minority"].to_dict("list") == {"gender_pred": ["male"] * 2}


def test_an_age_that_is_learned_from_bands_is_measured_by_them(tmp_path: Path) -> None:
    plan, faces = folded(2, options={"age": "expected"}, epochs=1), banded(face_set(train=120))
    scores = cross_validate(plan, "small", [faces], tmp_path, {}).scores
    metrics = set(scores.loc[scores["estimator"] == "model", "metric"])
    assert metrics > {"age_band_accuracy", "gender_accuracy"}
    assert not scores["metric"].eq("age_mae").any()
    assert not scores.loc[scores["estimator"] == "majority", "metric"].str.startswith("age").any()


def test_a_model_without_folds_and_more_folds_than_faces_are_told(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match="write `small: 5` there"):
        cross_validate(study(), "small", [face_set()], tmp_path, {})
    with pytest.raises(PocketfaceError, match="fold 0 of 100 has no face"):
        cross_validate(folded(100), "small", [face_set(train=3, val=1)], tmp_path, {})
