import pandas as pd
import pytest

from pocketface.metrics.groups import by_group

TABLE = pd.DataFrame(
    {
        "age": [1, 8, 30, None],
        "age_pred": [11.0, 10.0, 31.0, 50.0],
        "gender": ["male", "female", "female", None],
        "gender_pred": ["male", "male", "female", "female"],
        "race": [None, "black", "black", "white"],
    }
)


def test_each_group_has_its_size_and_metrics():
    black = by_group(TABLE)["race"]["black"]
    assert black["n"] == 2
    assert black["age_mae"] == pytest.approx(1.5)
    assert black["gender_accuracy"] == 0.5


def test_children_stand_apart():
    bands = by_group(TABLE)["age_band"]
    assert list(bands) == ["0-2", "3-9", "30-39"]
    assert (bands["0-2"]["age_mae"], bands["3-9"]["age_mae"]) == (10.0, 2.0)


def test_a_group_without_labels_of_a_task_has_no_such_metric():
    assert by_group(TABLE)["race"]["white"] == {"n": 1}
    assert "age_group" not in by_group(TABLE)


def test_other_races_and_further_words_are_groups_too():
    table = TABLE.assign(race=["white", "east asian", "black", "east asian"])
    camera = pd.DataFrame({"camera": ["b", "a", None, "a"]})
    groups = by_group(table, camera)
    assert list(groups["race"]) == ["white", "black", "east asian"]
    assert groups["race"]["east asian"]["n"] == 2
    assert list(groups["camera"]) == ["a", "b"]
    assert groups["camera"]["b"] == {"n": 1, **groups["race"]["white"]}


def test_a_group_that_is_all_happy_is_asked_the_same_question_as_all():
    table = pd.DataFrame(
        {
            "gender": ["male", "female"],
            "expression": ["happy", "neutral"],
            "expression_pred": ["neutral", "neutral"],
            "expression_prob_happy": [0.4, 0.2],
            "expression_prob_sad": [0.1, 0.2],
        }
    )
    assert by_group(table)["gender"]["male"]["expression_accuracy"] == 0.0
