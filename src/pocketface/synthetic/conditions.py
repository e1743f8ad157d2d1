"""Labels as the decoder takes them, and the prior that they are drawn from.

An age is spread over a few knots; gender and expression are probabilities.
"""

import numpy as np
import pandas as pd

from pocketface.core.labels import BAND_STARTS, EXPRESSIONS, GENDERS

KNOTS = np.array([0, 4, 10, 18, 28, 40, 55, 70, 90], float)
"""Years. An age between two of them is a weighted mean of both."""

WIDTH = len(KNOTS) + len(GENDERS) + len(EXPRESSIONS)

_SHARES = (0.06, 0.08, 0.09, 0.25, 0.18, 0.12, 0.10, 0.07, 0.05)
AGES = dict(
    zip(zip((1, *BAND_STARTS[1:]), (2, 9, 19, 29, 39, 49, 59, 69, 90), strict=True), _SHARES, strict=True)
)
"""First and last year of a band -> share of the people, about as in photographs on the web."""

FEELINGS = dict(zip(EXPRESSIONS, (0.14, 0.03, 0.14, 0.25, 0.17, 0.11, 0.16), strict=True))
"""Expression -> share of the people, about as in FER2013, whose pictures came from a web search."""


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
    """Labels drawn independently of one another: as in `AGES` and `FEELINGS`, the genders even."""
    first, last = np.array(list(AGES))[random.choice(len(AGES), count, p=list(AGES.values()))].T
    return pd.DataFrame(
        {
            "age": random.integers(first, last + 1).astype(float),
            "gender": random.choice(GENDERS, count),
            "expression": random.choice(EXPRESSIONS, count, p=list(FEELINGS.values())),
        }
    )


def _one_hot(words: pd.Series, vocabulary: tuple[str, ...]) -> np.ndarray:
    return (words.to_numpy()[:, None] == np.array(vocabulary)).astype(float)
