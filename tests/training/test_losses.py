import keras
import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import AGE_BANDS
from pocketface.training.augment import mixup
from pocketface.training.losses import RankCrossentropy, SoftAgeCrossentropy, loss_weights, losses, watchable
from pocketface.training.settings import Training
from pocketface.training.targets import BAND_YEARS


@pytest.mark.parametrize("kind, slope", [("mae", 0.1), ("mse", 0.2), ("huber", 0.1)])
def test_at_ten_years_every_age_loss_pulls_about_as_hard(kind: str, slope: float) -> None:
    recipe = Training.model_validate({"epochs": 1, "age_loss": kind})
    loss, weight = losses(["age"], recipe)["age"], loss_weights(["age"], recipe)["age"]
    at = [weight * float(loss([[30.0]], [[30.0 + error]])) for error in (10.0, 11.0)]
    assert at[1] - at[0] == pytest.approx(slope, rel=0.1)


def test_a_head_that_is_not_ours_is_of_classes() -> None:
    recipe = Training(epochs=1)
    assert losses(["mask"], recipe)["mask"].name == "categorical_crossentropy"
    assert loss_weights(["mask"], recipe) == {"mask": 1.0}


def test_watched_metrics_are_named_by_head_and_an_accuracy_is_better_high() -> None:
    assert watchable(["age", "gender"], "age_mae") == ("age_mae", 1)
    assert watchable(["expression"], "expression_accuracy") == ("accuracy", -1)
    with pytest.raises(PocketfaceError, match="no 'gender_mae'; there are loss, gender_accuracy"):
        watchable(["gender"], "gender_mae")


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
