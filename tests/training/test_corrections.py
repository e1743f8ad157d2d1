import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input
from pocketface.layers.heads import logits
from pocketface.training.corrections import as_sure, temperature, to_least_error, to_rates

FACES = np.random.default_rng(0).integers(0, 256, (6, 36, 36, 1)).astype(np.float32)

both_kinds = pytest.mark.parametrize("architecture", ["facenet", "mini_xception"])
"""A head is a dense layer, or the mean of a map."""


def build(architecture: str = "facenet") -> keras.Model:
    keras.utils.set_random_seed(1)
    return models.build(architecture, Input(size=36, channels=1), ["Bald", "Male"], {})


def labelled(having: int, faces: int = 20) -> pd.DataFrame:
    has = [1.0] * having + [0.0] * (faces - having) + [np.nan] * 5
    return pd.DataFrame({"Bald": has, "Male": [0.0, 1.0] * 10 + [np.nan] * 5})


def answers(model: keras.Model) -> dict[str, np.ndarray]:
    return {head: np.asarray(answer) for head, answer in model(FACES).items()}


def odds(probabilities: np.ndarray) -> np.ndarray:
    return probabilities[:, 1] / probabilities[:, 0]


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def built() -> tuple[keras.Model, list[np.ndarray]]:
    """A model and its weights as it was made."""
    model = build()
    return model, model.get_weights()


@settings(deadline=None, max_examples=20)
@given(rate=st.floats(0.01, 0.99), having=st.integers(1, 19))
def test_the_odds_change_by_the_ratio_of_the_odds(built, rate: float, having: int) -> None:
    model, weights = built
    model.set_weights(weights)
    before = odds(answers(model)["Bald"])
    to_rates(model, {"Bald": rate}, labelled(having), balanced=[])
    after = odds(answers(model)["Bald"])
    seen = having / 20
    assert after / before == pytest.approx((rate / (1 - rate)) / (seen / (1 - seen)), rel=1e-3)


@both_kinds
@pytest.mark.parametrize(("having", "balanced"), [(10, []), (3, ["Bald"])])
def test_a_balanced_head_has_seen_a_half_and_others_answer_as_before(
    architecture: str, having: int, balanced: list[str]
) -> None:
    model = build(architecture)
    before = answers(model)
    to_rates(model, {"Bald": 0.2}, labelled(having), balanced)
    after = answers(model)
    assert odds(after["Bald"]) / odds(before["Bald"]) == pytest.approx(0.25, rel=1e-3)
    np.testing.assert_array_equal(after["Male"], before["Male"])


@pytest.mark.parametrize("having", [0, 20])
def test_an_attribute_that_all_or_none_have_is_refused(having: int) -> None:
    with pytest.raises(PocketfaceError, match=r"training\.priors\.Bald"):
        to_rates(build(), {"Bald": 0.02}, labelled(having), balanced=[])


@settings(max_examples=30)
@given(by=st.floats(0.3, 3.5), seed=st.integers(0, 99))
def test_the_temperature_of_answers_is_found(by: float, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(0, 2, (50, 7))
    assert temperature(softmax(scores), softmax(scores / by)) == pytest.approx(by, rel=0.01)


@both_kinds
def test_the_logits_of_a_head_are_divided_and_its_answers_keep_their_order(architecture: str) -> None:
    model = build(architecture)
    before = answers(model)
    surer = softmax(np.log(before["Bald"]) / 0.5)
    as_sure(model, "Bald", before["Bald"], surer)
    after = answers(model)
    np.testing.assert_allclose(after["Bald"], surer, atol=1e-3)
    np.testing.assert_array_equal(after["Male"], before["Male"])


@both_kinds
def test_the_logits_of_an_age_are_divided_so_that_its_error_is_least(architecture: str) -> None:
    keras.utils.set_random_seed(1)
    model = models.build(architecture, Input(size=36, channels=1), ["age"], {"age": "expected"})
    distribution = keras.Model(model.input, model.get_layer("age_distribution").output)
    before, kernel = distribution.predict(FACES, verbose=0), np.array(logits(model, "age").kernel)
    sharper = softmax(np.log(before) / 0.4)
    to_least_error(model, before, sharper @ np.arange(101))
    assert kernel / np.array(logits(model, "age").kernel) == pytest.approx(0.4, rel=0.01)
    np.testing.assert_allclose(distribution.predict(FACES, verbose=0), sharper, atol=2e-3)
