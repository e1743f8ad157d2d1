from functools import cache

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface import models
from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input
from pocketface.training.priors import correct

FACES = np.random.default_rng(0).integers(0, 256, (6, 36, 36, 1)).astype(np.float32)


def build(architecture: str = "facenet"):
    return models.build(architecture, Input(size=36, channels=1), ["Bald", "Male"], {})


def labelled(having: int, faces: int = 20) -> pd.DataFrame:
    has = [1.0] * having + [0.0] * (faces - having) + [np.nan] * 5
    return pd.DataFrame({"Bald": has, "Male": [0.0, 1.0] * 10 + [np.nan] * 5})


def answers(model) -> dict[str, np.ndarray]:
    return {head: np.asarray(answer) for head, answer in model(FACES).items()}


def odds(probabilities: np.ndarray) -> np.ndarray:
    return probabilities[:, 1] / probabilities[:, 0]


@cache
def built() -> tuple[keras.Model, list[np.ndarray]]:
    """A model and its weights as it was made."""
    model = build()
    return model, model.get_weights()


@settings(deadline=None, max_examples=20)
@given(rate=st.floats(0.01, 0.99), having=st.integers(1, 19))
def test_the_odds_change_by_the_ratio_of_the_odds(rate: float, having: int) -> None:
    model, weights = built()
    model.set_weights(weights)
    before = odds(answers(model)["Bald"])
    correct(model, {"Bald": rate}, labelled(having), balanced=[])
    after = odds(answers(model)["Bald"])
    seen = having / 20
    assert after / before == pytest.approx((rate / (1 - rate)) / (seen / (1 - seen)), rel=1e-3)


def test_the_other_heads_answer_as_before() -> None:
    model = build()
    before = answers(model)["Male"]
    correct(model, {"Bald": 0.02}, labelled(10), balanced=[])
    assert np.array_equal(answers(model)["Male"], before)


def test_a_balanced_head_has_seen_a_half() -> None:
    model = build()
    before = odds(answers(model)["Bald"])
    correct(model, {"Bald": 0.2}, labelled(3), balanced=["Bald"])
    assert odds(answers(model)["Bald"]) / before == pytest.approx(0.25, rel=1e-3)


def test_a_head_that_averages_a_map_is_corrected_as_a_dense_one() -> None:
    model = build("mini_xception")
    before = odds(answers(model)["Bald"])
    correct(model, {"Bald": 0.2}, labelled(10), balanced=[])
    assert odds(answers(model)["Bald"]) / before == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("having", [0, 20])
def test_an_attribute_that_all_or_none_have_is_refused(having: int) -> None:
    with pytest.raises(PocketfaceError, match=r"training\.priors\.Bald"):
        correct(build(), {"Bald": 0.02}, labelled(having), balanced=[])
