"""What an output of years is taken to mean, in every form in which files have it."""

import numpy as np
import pandas as pd
import pytest

from pocketface.bring.heads import Spoken, answered, spoken, understood
from pocketface.core.errors import PocketfaceError

AGES = np.random.default_rng(0).uniform(5, 90, 200)


def logits(classes: int, step: float, first: float) -> np.ndarray:
    """Of classes of ages, whose mean is about the age."""
    return -(((AGES[:, None] - first - step * np.arange(classes)) / step) ** 2)


def shares(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)


def ranks(count: int, step: float) -> np.ndarray:
    """Logits that the age is above each rank."""
    return (AGES[:, None] / step - np.arange(count) - 0.5) / 0.5


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize(
    ("values", "kind", "has_logits"),
    [
        (AGES[:, None], "number", False),
        (AGES[:, None] / 116, "number", False),
        (logits(101, 1, 0), "expected", True),
        (shares(logits(101, 1, 0)), "expected", False),
        (shares(logits(12, 10, 5)), "expected", False),
        (shares(logits(20, 5, 2.5)), "expected", False),
        (ranks(100, 1), "ordinal", True),
        (sigmoid(ranks(100, 1)), "ordinal", False),
        (sigmoid(ranks(20, 5)), "ordinal", False),
    ],
)
def test_an_age_is_read_in_every_form(values, kind, has_logits):
    own = understood("age", "age", values, pd.Series(AGES, name="age"), Spoken("age")).own
    assert (own.kind, own.logits) == (kind, has_logits)
    assert np.abs(answered(own, "age", values) - AGES).mean() < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gender", Spoken("gender")),
        ("gender=probs:man,woman", Spoken("gender", "probs", ("man", "woman"))),
        ("gender:man,woman", Spoken("gender", None, ("man", "woman"))),
        ("gender=Call:0", Spoken("gender", "Call:0")),
        ("gender=Call:0:man,woman", Spoken("gender", "Call:0", ("man", "woman"))),
    ],
)
def test_what_is_said_of_a_head_is_read(text, expected):
    assert spoken(text) == expected


@pytest.mark.parametrize(("width", "labels"), [(2, ("male",)), (1, ("a", "b", "c")), (3, ("a", "b"))])
def test_as_many_labels_as_values_are_asked_for(width, labels):
    values, truth = np.full((4, width), 0.5), pd.Series(["a", "b", "a", "b"], name="kind")
    with pytest.raises(PocketfaceError, match=rf"--head kind: {len(labels)} labels for output probs"):
        understood("kind", "probs", values, truth, Spoken("kind", "probs", labels))
