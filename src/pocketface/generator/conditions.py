"""Labels as the decoder takes them, and the prior that they are drawn from.

    labels = draw(1000, np.random.default_rng(7))          # a DataFrame: age, gender, expression
    conditions = encode(labels)                            # float32 [1000, 18]

An age is spread over a few knots, so that what a year changes may differ along a life; gender and expression
are probabilities, for the labels that a dataset lacks are a network's guesses.
"""

import numpy as np
import pandas as pd

from pocketface.labels import EXPRESSIONS, GENDERS

KNOTS = np.array([0, 4, 10, 18, 28, 40, 55, 70, 90], float)
"""Years. An age between two of them is a weighted mean of both."""

WIDTH = len(KNOTS) + len(GENDERS) + len(EXPRESSIONS)

YOUNGEST, OLDEST = 1, 90


def encode(labels: pd.DataFrame) -> np.ndarray:
    """Columns `age` (years), `gender` and `expression` (words) to float32 `[N, WIDTH]`."""
    return join(
        labels["age"].to_numpy(float),
        _one_hot(labels["gender"], GENDERS),
        _one_hot(labels["expression"], EXPRESSIONS),
    )


def join(age: np.ndarray, gender: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """Years `[N]` and probabilities `[N, 2]`, `[N, 7]` to float32 `[N, WIDTH]`."""
    knots = [np.interp(age, KNOTS, row) for row in np.eye(len(KNOTS))]
    return np.column_stack([*knots, gender, expression]).astype(np.float32)


def draw(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Labels drawn independently of one another: every age from 1 to 90, gender and expression even."""
    return pd.DataFrame(
        {
            "age": random.integers(YOUNGEST, OLDEST + 1, count).astype(float),
            "gender": random.choice(GENDERS, count),
            "expression": random.choice(EXPRESSIONS, count),
        }
    )


def _one_hot(words: pd.Series, vocabulary: tuple[str, ...]) -> np.ndarray:
    return (words.to_numpy()[:, None] == np.array(vocabulary)).astype(float)
