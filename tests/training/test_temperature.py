import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface import models
from pocketface.faces.settings import Input
from pocketface.training.temperature import match, temperature

FACES = np.random.default_rng(0).integers(0, 256, (6, 36, 36, 1)).astype(np.float32)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return powers / powers.sum(axis=-1, keepdims=True)


@settings(max_examples=30)
@given(by=st.floats(0.3, 3.5), seed=st.integers(0, 99))
def test_the_temperature_of_answers_is_found(by: float, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(0, 2, (50, 7))
    assert temperature(softmax(scores), softmax(scores / by)) == pytest.approx(by, rel=0.01)


@pytest.mark.parametrize("architecture", ["facenet", "mini_xception"])
def test_the_logits_of_a_head_are_divided_and_its_answers_keep_their_order(architecture: str) -> None:
    keras.utils.set_random_seed(1)
    model = models.build(architecture, Input(size=36, channels=1), ["Bald", "Male"], {})
    before = {head: np.asarray(answer) for head, answer in model(FACES).items()}
    match(model, "Bald", before["Bald"], softmax(np.log(before["Bald"]) / 0.5))
    after = {head: np.asarray(answer) for head, answer in model(FACES).items()}
    np.testing.assert_allclose(after["Bald"], softmax(np.log(before["Bald"]) / 0.5), atol=1e-3)
    np.testing.assert_array_equal(after["Male"], before["Male"])
