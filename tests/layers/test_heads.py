from pathlib import Path

import keras
import numpy as np
import pytest

from example_models import Plan, enliven
from pocketface.layers.heads import training_model


def plan(kind: str) -> Plan:
    options = {"age": kind, "widths": [8], "depths": [1], "dropout": 0.0}
    return Plan("compact", 16, 3, ["age", "gender"], options)


def answers(model: keras.Model, faces: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in model(faces.astype(np.float32)).items()}


def test_expected_age_is_the_mean_of_the_distribution() -> None:
    model = plan("expected").build()
    enliven(model)
    found = answers(training_model(model), plan("expected").faces())
    assert found["age_distribution"].shape == (8, 101)
    np.testing.assert_allclose(found["age_distribution"].sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(found["age"], found["age_distribution"] @ np.arange(101)[:, None], rtol=1e-4)


def test_ordinal_age_is_the_sum_of_its_ranks() -> None:
    model = plan("ordinal").build()
    untrained = answers(training_model(model), plan("ordinal").faces())["age_ranks"]
    assert untrained.shape == (8, 100)
    assert (np.diff(untrained, axis=1) < 0).all(), "being above 60 is less probable than being above 50"
    enliven(model)
    found = answers(training_model(model), plan("ordinal").faces())
    np.testing.assert_allclose(found["age"], found["age_ranks"].sum(1, keepdims=True), rtol=1e-4)
    shared, biases = model.get_layer("age_score"), model.get_layer("age_ranks")
    assert [weight.shape for weight in shared.weights + biases.weights] == [(8, 1), (100,)]


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("regression", []), ("expected", ["age_distribution"]), ("ordinal", ["age_ranks"])],
)
def test_training_outputs_stay_out_of_the_model_that_is_kept(
    kind: str, extra: list[str], tmp_path: Path
) -> None:
    model = plan(kind).build()
    learner = training_model(model)
    assert set(model.output) == {"age", "gender"}
    assert set(learner.output) == {"age", "gender", *extra}
    enliven(learner)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = plan(kind).build()
    fresh.load_weights(tmp_path / "model.weights.h5")
    faces = plan(kind).faces()
    for name, values in answers(fresh, faces).items():
        np.testing.assert_array_equal(values, answers(learner, faces)[name])
