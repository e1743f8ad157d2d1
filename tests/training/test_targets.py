import numpy as np
import pandas as pd
import pytest

from pocketface.errors import PocketfaceError
from pocketface.training.targets import targets


def test_a_missing_label_weighs_nothing_and_a_known_one_stands_in_its_place() -> None:
    rows = pd.DataFrame({"age": [30.0, None, 70.0], "gender": ["female", "male", None]})
    y, weight = targets(rows, ["age", "gender"], "utkface")
    np.testing.assert_array_equal(y["age"], [[30], [0], [70]])
    np.testing.assert_array_equal(y["gender"], [[0, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(weight["age"], [1, 0, 1])
    np.testing.assert_array_equal(weight["gender"], [1, 1, 0])


@pytest.mark.parametrize(
    "rows", [pd.DataFrame({"age": [1.0]}), pd.DataFrame({"age": [1.0], "gender": [None]})]
)
def test_a_head_without_any_label_is_an_error(rows: pd.DataFrame) -> None:
    with pytest.raises(PocketfaceError, match="dataset utkface has no label 'gender'"):
        targets(rows, ["age", "gender"], "utkface")
