import numpy as np
import pandas as pd
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.training.targets import balance, targets


def test_a_missing_label_weighs_nothing_and_a_known_one_stands_in_its_place() -> None:
    rows = pd.DataFrame({"age": [30.0, None, 70.0], "gender": ["female", "male", None], "Bald": [1, 0, None]})
    y, weight = targets(rows, ["age", "gender", "Bald"], "utkface")
    np.testing.assert_array_equal(y["age"], [[30], [0], [70]])
    for head in ("gender", "Bald"):
        np.testing.assert_array_equal(y[head], [[0, 1], [1, 0], [0, 0]])
    np.testing.assert_array_equal(weight["age"], [1, 0, 1])
    np.testing.assert_array_equal(weight["gender"], [1, 1, 0])


@pytest.mark.parametrize(
    "rows", [pd.DataFrame({"age": [1.0]}), pd.DataFrame({"age": [1.0], "gender": [None]})]
)
def test_a_head_without_any_label_is_an_error(rows: pd.DataFrame) -> None:
    with pytest.raises(PocketfaceError, match="dataset utkface has no label 'gender'"):
        targets(rows, ["age", "gender"], "utkface")


def test_balanced_classes_weigh_the_same_and_all_faces_together_as_before() -> None:
    rows = pd.DataFrame({"gender": ["male"] * 6 + ["female"] * 2 + [None]})
    y, weight = targets(rows, ["gender"], "utkface")
    balanced = balance(y["gender"], weight["gender"], "gender")
    assert balanced[:6].sum() == pytest.approx(balanced[6:8].sum())
    assert balanced.sum() == pytest.approx(8)
    assert balanced[8] == 0


def test_a_number_has_no_classes_to_balance() -> None:
    with pytest.raises(PocketfaceError, match="age is a number"):
        balance(np.ones((2, 1)), np.ones(2), "age")


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
