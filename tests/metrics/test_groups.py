import numpy as np
import pandas as pd
import pytest

from pocketface.metrics.confidence import Sample, people_of, resample, sampled
from pocketface.metrics.groups import FEWEST, by_group, gap, members
from pocketface.metrics.groups import age_standardised as standardised
from pocketface.metrics.measures import comparisons, tallies

TABLE = pd.DataFrame(
    {
        "age": [1, 8, 30, None],
        "age_pred": [11.0, 10.0, 31.0, 50.0],
        "gender": ["male", "female", "female", None],
        "gender_pred": ["male", "male", "female", "female"],
        "race": [None, "black", "black", "white"],
    }
)


def samples(table, groups, metrics=None):
    parts = tallies(comparisons(table), metrics)
    return {name: sampled(parts, len(table), people_of(table), inside) for name, inside in groups.items()}


def age_standardised(table, grouping, metrics=None):
    masks = {group: one for (by, group), one in members(table, by=[grouping]).items() if by == grouping}
    return standardised(table, masks, tallies(comparisons(table), metrics))


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


def confounded(n: int = 2000) -> pd.DataFrame:
    """Genders that are wrong in a third of the children and in 5% of adults, whoever they are; of the asian
    faces 30% are children, of the black 3%.
    """
    random = np.random.default_rng(8)
    race = np.array(["asian", "black"])[random.integers(2, size=n)]
    child = random.random(n) < np.where(race == "asian", 0.3, 0.03)
    wrong = random.random(n) < np.where(child, 1 / 3, 0.05)
    return pd.DataFrame(
        {
            "age": np.where(child, 5.0, 30.0),
            "age_pred": 30.0,
            "race": race,
            "gender": "male",
            "gender_pred": np.where(wrong, "female", "male"),
        }
    )


def test_standardised_rates_do_not_differ_where_only_ages_do():
    table = confounded()
    races = {group: (table["race"] == group).to_numpy() for group in ("asian", "black")}
    crude = samples(table, races)
    now = age_standardised(table, "race", ["gender_accuracy", "age_bias"])
    plain, fair = gap(crude, "gender_accuracy"), gap(now, "gender_accuracy")
    assert plain is not None and fair is not None
    assert (plain.best, plain.worst) == ("black", "asian") and plain.low > 0.03
    assert fair.low == 0 and fair.value < 0.03
    shares = table["age"].eq(5).mean()
    for group, one in now.items():
        rows = table[table["race"] == group]
        right = (rows["gender"] == rows["gender_pred"]).groupby(rows["age"]).mean()
        expected = right[5.0] * shares + right[30.0] * (1 - shares)
        assert one.values["gender_accuracy"] == pytest.approx(expected)
        assert one.values["age_bias"] == pytest.approx(25 * shares), "the same for both"
        assert one.draws["age_bias"].std() == pytest.approx(0), "each draw is weighed anew"


def test_bands_that_one_group_lacks_are_not_standardised_over():
    table = confounded()
    table = table[(table["race"] == "asian") | (table["age"] == 30)].reset_index(drop=True)
    found = age_standardised(table, "race", ["gender_accuracy"])
    adults = table[(table["race"] == "asian") & (table["age"] == 30)]
    right = (adults["gender"] == adults["gender_pred"]).mean()
    assert found["asian"].values["gender_accuracy"] == pytest.approx(right)
    assert age_standardised(table.drop(columns="age"), "race") == {}


def test_groups_by_two_labels_need_thirty_faces():
    groups = by_group(confounded(700))
    assert groups["race x age_band"]["asian, 3-9"]["n"] >= FEWEST
    assert "black, 3-9" not in groups["race x age_band"], "about ten faces"
    assert groups["gender x age_band"]["male, 30-39"]["n"] > 300


def test_any_label_column_can_group():
    table = confounded(100).assign(Eyeglasses=[0, 1] * 50, shop=["a"] * 60 + [None] * 40)
    found = members(table, by=["Eyeglasses", "shop", "missing"])
    assert found["Eyeglasses", "yes"].sum() == 50
    assert [group for grouping, group in found if grouping == "shop"] == ["a"]
    assert set(age_standardised(table, "Eyeglasses", ["age_mae"])) == {"no", "yes"}


def test_a_gap_between_like_groups_is_not_made_of_chance():
    """Of ten groups that are alike the best and the worst are apart, but not surely."""
    random = np.random.default_rng(3)
    names = [str(i) for i in range(10)]
    covering = 0
    for _ in range(20):
        right = random.random(1000) < 0.8
        table = pd.DataFrame({"gender": "male", "gender_pred": np.where(right, "male", "female")})
        groups = {name: np.arange(1000) % 10 == i for i, name in enumerate(names)}
        found = gap(samples(table, groups, ["gender_accuracy"]), "gender_accuracy")
        assert found is not None and found.value > 0.05
        covering += found.low == 0
    assert covering >= 18


def test_unlike_questions_have_no_gap():
    two = pd.DataFrame({"expression": ["happy", "sad"] * 20, "expression_pred": "happy"})
    two = two.assign(expression_prob_happy=0.9, expression_prob_sad=0.1)
    seven = two.assign(expression=["happy", "neutral"] * 20)
    both = {"photos": resample(two), "fer2013": resample(seven)}
    assert gap(both, "expression_accuracy") is None
    assert gap({"a": both["photos"], "b": both["photos"]}, "expression_accuracy") is not None
    assert gap({"a": both["photos"], "b": resample(two[:20])}, "expression_accuracy") is None, "few"


def test_a_gap_of_signed_errors_is_between_the_two_ends():
    bias = {"a": -3.0, "b": 0.1, "c": 2.9}
    of = {
        name: Sample({"age_bias": one}, {"age_bias": np.full(9, one)}, 40, {}) for name, one in bias.items()
    }
    found = gap(of, "age_bias")
    assert (found.best, found.worst, found.value) == ("c", "a", pytest.approx(5.9))
