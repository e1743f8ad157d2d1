import numpy as np
import pandas as pd
import pytest

from pocketface.study import Study
from pocketface.training import age
from pocketface.training.fit import fit
from pocketface.training.targets import targets
from tiny import face_set, study


def test_the_distribution_is_cheapest_around_the_label() -> None:
    loss = age.SoftAgeCrossentropy(reduction=None)
    ages = np.arange(101)

    def curve(centre: float, sigma: float) -> np.ndarray:
        bell = np.exp(-(((ages - centre) / sigma) ** 2) / 2)
        return (bell / bell.sum()).astype(np.float32)

    labels = np.full((5, 1), 30, np.float32)
    answers = np.stack([curve(30, 2), curve(30, 1), curve(30, 4), curve(33, 2), curve(60, 2)])
    costs = np.asarray(loss(labels, answers))
    assert costs.argmin() == 0
    assert costs[0] == pytest.approx(np.log(2 * np.sqrt(2 * np.pi * np.e)), rel=1e-3), "its own entropy"
    assert costs[3] < costs[4]


def test_ranks_cost_what_their_cross_entropies_say() -> None:
    loss = age.RankCrossentropy(reduction=None)
    label = np.array([[30.0]], np.float32)
    right = (np.arange(100) < 30).astype(np.float32)[None]
    half = np.full((1, 100), 0.5, np.float32)
    assert np.asarray(loss(label, right))[0] == pytest.approx(0, abs=1e-4)
    assert np.asarray(loss(label, half))[0] == pytest.approx(10 * np.log(2), rel=1e-4)


def test_an_age_beyond_the_classes_is_the_last_of_them() -> None:
    loss = age.SoftAgeCrossentropy(reduction=None)
    uniform = np.full((2, 101), 1 / 101, np.float32)
    costs = np.asarray(loss(np.array([[116.0], [100.0]], np.float32), uniform))
    assert np.isfinite(costs).all()
    assert costs[0] == pytest.approx(costs[1])


def test_a_training_output_takes_its_heads_labels() -> None:
    rows = pd.DataFrame({"age": [20.0, None], "Bald": [1, 0]})
    y, weight = targets(rows, ["age", "age_ranks", "Bald"], "celeba")
    np.testing.assert_array_equal(y["age_ranks"], [[20], [0]])
    np.testing.assert_array_equal(weight["age_ranks"], [1, 0])
    np.testing.assert_array_equal(y["Bald"], [[0, 1], [1, 0]])


def with_age(kind: str) -> Study:
    plan = study(epochs=4)
    small = plan.models["small"]
    options = small.options | {"age": kind}
    return plan.model_copy(update={"models": {"small": small.model_copy(update={"options": options})}})


@pytest.mark.parametrize(("kind", "extra"), [("expected", "age_distribution"), ("ordinal", "age_ranks")])
def test_a_head_that_learns_a_distribution_learns_the_age(kind: str, extra: str) -> None:
    trained = fit(with_age(kind), "small", [face_set(train=256)], "research only")
    assert set(trained.model.output) == {"age", "gender"}
    assert set(trained.card.outputs) == {"age", "gender"}
    assert trained.card.options["age"] == kind
    curve = trained.history
    assert curve[f"{extra}_loss"].iloc[-1] < curve[f"{extra}_loss"].iloc[0]
    assert curve["val_age_mae"].iloc[-1] < 12, "ages here are 1 to 90, a constant answer is off by 22"
