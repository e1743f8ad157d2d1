from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import AGE_BANDS, age_band
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Input
from pocketface.faces.view import view
from pocketface.study import Study
from pocketface.training.augment import mixup
from pocketface.training.fit import fit
from pocketface.training.losses import RankCrossentropy, SoftAgeCrossentropy
from pocketface.training.targets import BAND_YEARS, targets
from tiny_training import face_set, study


def test_the_distribution_is_cheapest_around_the_label() -> None:
    loss = SoftAgeCrossentropy(reduction=None)
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
    loss = RankCrossentropy(reduction=None)
    label = np.array([[30.0]], np.float32)
    right = (np.arange(100) < 30).astype(np.float32)[None]
    half = np.full((1, 100), 0.5, np.float32)
    assert np.asarray(loss(label, right))[0] == pytest.approx(0, abs=1e-4)
    assert np.asarray(loss(label, half))[0] == pytest.approx(10 * np.log(2), rel=1e-4)


def test_an_age_beyond_the_classes_is_the_last_of_them() -> None:
    loss = SoftAgeCrossentropy(reduction=None)
    uniform = np.full((2, 101), 1 / 101, np.float32)
    costs = np.asarray(loss(np.array([[116.0], [100.0]], np.float32), uniform))
    assert np.isfinite(costs).all()
    assert costs[0] == pytest.approx(costs[1])


BANDS = dict(zip(AGE_BANDS, BAND_YEARS.tolist(), strict=True))
"""Band -> first and last year."""


def test_a_band_costs_the_logarithm_of_its_probability() -> None:
    loss = SoftAgeCrossentropy(reduction=None)
    label = np.array([BANDS["3-9"], BANDS["more than 70"], [20, 20]], np.float32)
    uniform = np.full((3, 101), 1 / 101, np.float32)
    costs = np.asarray(loss(label, uniform))
    assert costs[:2] == pytest.approx(np.log([101 / 7, 101 / 31]), rel=1e-5)
    exact = np.asarray(loss(label[2:, :1], uniform[2:]))
    assert costs[2] == exact[0], "an interval that is one age costs what the age does"
    there, beside = (np.eye(101, dtype=np.float32)[[year]] for year in (9, 10))
    assert np.asarray(loss(label[:1], there))[0] == pytest.approx(0, abs=1e-5)
    assert np.asarray(loss(label[:1], beside))[0] == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_the_likelihood_of_a_band_raises_what_is_in_it_and_lowers_the_rest() -> None:
    """The gradient to the logits is the probabilities less those given the band, within rounding."""
    logits = keras.Variable(np.random.default_rng(0).normal(size=(1, 101)).astype(np.float32))
    label = np.array([BANDS["20-29"]], np.float32)
    probabilities = np.asarray(keras.ops.softmax(logits))[0]
    inside = (np.arange(101) >= 20) & (np.arange(101) <= 29)
    given = np.where(inside, probabilities, 0) / probabilities[inside].sum()

    def cost(change: np.ndarray) -> float:
        moved = keras.ops.softmax(logits + change)
        return float(np.asarray(SoftAgeCrossentropy(reduction=None)(label, moved))[0])

    for year in (5, 19, 20, 25, 29, 30, 100):
        step = 0.05 * np.eye(101, dtype=np.float32)[[year]]
        slope = (cost(step) - cost(-step)) / 0.1
        assert slope == pytest.approx(probabilities[year] - given[year], abs=1e-4)


def test_ranks_inside_a_band_cost_nothing() -> None:
    loss = RankCrossentropy(reduction=None)
    label = np.array([BANDS["20-29"], [20, 20]], np.float32)
    half = np.full((2, 100), 0.5, np.float32)
    assert np.asarray(loss(label, half)) == pytest.approx(
        [10 * np.log(2) * 91 / 100, 10 * np.log(2)], rel=1e-4
    )


def test_a_mixed_band_still_holds_one_year_or_more() -> None:
    """Half of 0-2 over half of 31 is 15.5 to 16.5: two ages, each by the half."""
    y = {"age": np.array([BANDS["0-2"], [31, 31]], np.float32)}
    image = np.zeros((2, 1, 1, 1), np.float32)

    class Halves:
        beta = staticmethod(lambda a, b: 0.5)
        permutation = staticmethod(lambda n: np.arange(n)[::-1])

    _, mixed, _ = mixup(image, y, {"age": np.ones(2, np.float32)}, 1.0, Halves())  # type: ignore[arg-type]
    np.testing.assert_array_equal(mixed["age"], [[15.5, 16.5]] * 2)
    answer = np.zeros((2, 101), np.float32)
    answer[:, [15, 16, 17]] = [0.2, 0.5, 0.3]
    costs = np.asarray(SoftAgeCrossentropy(reduction=None)(mixed["age"], answer))
    assert costs == pytest.approx(-np.log(0.1 + 0.5 + 0.15), rel=1e-5)


@pytest.mark.parametrize("labels", [{"Bald": [1, 0]}, {"age_band": ["20-29", None]}])
def test_where_no_face_has_a_band_alone_the_labels_are_years(labels: dict) -> None:
    y, weight = targets(pd.DataFrame({"age": [20.0, None]} | labels), ["age", "age_ranks"], "utkface")
    np.testing.assert_array_equal(y["age_ranks"], [[20], [0]])
    np.testing.assert_array_equal(weight["age_ranks"], [1, 0])


def test_an_age_a_band_and_neither() -> None:
    rows = pd.DataFrame({"age": [20.0, None, None], "age_band": ["3-9", "more than 70", None]})
    y, weight = targets(rows, ["age", "age_distribution"], "mix")
    np.testing.assert_array_equal(y["age"], [[20], [0], [0]])
    np.testing.assert_array_equal(weight["age"], [1, 0, 0])
    np.testing.assert_array_equal(y["age_distribution"], [[20, 20], [70, 100], [0, 0]])
    np.testing.assert_array_equal(weight["age_distribution"], [1, 1, 0])


def test_bands_alone_are_labels_of_a_head_that_learns_from_them_and_of_no_other() -> None:
    rows = pd.DataFrame({"age": [None], "age_band": ["3-9"]})
    y, weight = targets(rows.drop(columns="age"), ["age", "age_ranks"], "fairface")
    np.testing.assert_array_equal(y["age_ranks"], [[3, 9]])
    np.testing.assert_array_equal(weight["age"], [0])
    with pytest.raises(PocketfaceError, match=r"fairface has no label 'age'.*options: \{age: expected\}"):
        targets(rows, ["age"], "fairface")


def banded(faces: FaceSet) -> FaceSet:
    """The same faces, of which only the band is known."""
    bands = faces.index["age"].map(age_band, na_action="ignore")
    return replace(faces, index=faces.index.assign(age=np.nan, age_band=bands))


def with_age(kind: str, **recipe: object) -> Study:
    plan = study(**{"epochs": 4} | recipe)
    plan.models["small"].options["age"] = kind
    return plan


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("expected", "age_distribution"), pytest.param("ordinal", "age_ranks", marks=pytest.mark.slow)],
)
def test_a_head_that_learns_a_distribution_learns_the_age(kind: str, extra: str) -> None:
    trained = fit(with_age(kind), "small", [face_set(train=256)], "research only")
    assert set(trained.model.output) == {"age", "gender"}
    assert set(trained.card.outputs) == {"age", "gender"}
    assert trained.card.options["age"] == kind
    curve = trained.history
    assert curve[f"{extra}_loss"].iloc[-1] < curve[f"{extra}_loss"].iloc[0]
    assert curve["val_age_mae"].iloc[-1] < 12, "ages here are 1 to 90, a constant answer is off by 22"


@pytest.mark.parametrize(
    ("kind", "extra"),
    [pytest.param("expected", "age_distribution", marks=pytest.mark.slow), ("ordinal", "age_ranks")],
)
def test_a_head_learns_the_age_from_bands_alone(kind: str, extra: str) -> None:
    faces = face_set(train=256)
    trained = fit(with_age(kind, epochs=6), "small", [banded(faces)], "research only")
    assert trained.history[f"{extra}_loss"].iloc[-1] < trained.history[f"{extra}_loss"].iloc[0]
    assert (trained.history["age_loss"] == 0).all(), "no face has an age"
    assert "val_age_mae" not in trained.history
    val = faces.rows("val")
    seen = np.stack([view(faces.pixels[face], faces.crop, Input(size=16)) for face in val["face"]])
    answer = np.asarray(trained.model.predict(seen.astype(np.float32), verbose=0)["age"])[:, 0]
    assert np.abs(answer - val["age"]).mean() < 12, "ages here are 1 to 90, a constant answer is off by 22"


def test_ages_bands_and_neither_are_learned_together() -> None:
    aged, nothing = face_set(train=128), face_set(train=64, dataset="celeba", seed=2)
    nothing = replace(nothing, index=nothing.index.drop(columns="age"))
    bands = banded(face_set(train=128, dataset="fairface", seed=1))
    recipe = {"augment": {"mixup": 0.2}}
    trained = fit(with_age("expected", **recipe), "small", [aged, nothing, bands], "research only")
    assert trained.history["val_age_mae"].iloc[-1] < 15
    assert trained.history["age_distribution_loss"].is_monotonic_decreasing


def test_a_training_on_bands_cannot_be_steered_by_years() -> None:
    steered = with_age("expected", watch={"metric": "age_mae", "share": 0.2})
    with pytest.raises(PocketfaceError, match="no watched face has the label 'age' of age_mae"):
        fit(steered, "small", [banded(face_set(train=64))], "research only")
