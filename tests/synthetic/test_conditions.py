import numpy as np
import pandas as pd
import pytest

from pocketface.core.labels import EXPRESSIONS, GENDERS
from pocketface.synthetic.conditions import AGES, FEELINGS, KNOTS, WIDTH, draw, encode, join


def test_a_condition_says_the_age_the_gender_and_the_expression() -> None:
    labels = pd.DataFrame({"age": [34.0, 2.0], "gender": ["female", "male"], "expression": ["sad", "angry"]})
    conditions = encode(labels)
    assert conditions.shape == (2, WIDTH)
    ages, genders, expressions = np.split(conditions, [len(KNOTS), len(KNOTS) + 2], axis=1)
    assert ages @ KNOTS == pytest.approx([34, 2])
    assert ages.sum(1) == pytest.approx([1, 1])
    assert (ages > 0).sum(1).tolist() == [2, 2], "an age lies between two knots"
    assert [GENDERS[i] for i in genders.argmax(1)] == ["female", "male"]
    assert [EXPRESSIONS[i] for i in expressions.argmax(1)] == ["sad", "angry"]


def test_ages_beyond_the_last_knot_are_the_last_knot() -> None:
    gender, expression = np.array([[0.25, 0.75]]), np.full((1, 7), 1 / 7)
    assert join(np.array([110.0]), gender, expression)[0, : len(KNOTS)].tolist() == [0] * 8 + [1]


def test_drawn_labels_have_their_shares_and_are_independent() -> None:
    labels = draw(20000, np.random.default_rng(1))
    for (first, last), share in AGES.items():
        assert labels["age"].between(first, last).mean() == pytest.approx(share, abs=0.02)
    assert (labels["gender"] == "male").mean() == pytest.approx(0.5, abs=0.03)
    for expression, share in FEELINGS.items():
        assert (labels["expression"] == expression).mean() == pytest.approx(share, abs=0.02)
    ages = labels.groupby(["gender", "expression"])["age"].mean()
    assert ages.to_numpy() == pytest.approx(labels["age"].mean(), abs=4)
