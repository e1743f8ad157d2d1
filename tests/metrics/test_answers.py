import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output
from pocketface.metrics.answers import answerable, decode, varies

AGE = Output(kind="number", unit="years")
GENDER = Output(kind="classes", labels=("male", "female"))


def test_numbers_are_years_within_a_human_life():
    answers = decode({"age": np.array([[-3.0], [41.5], [300.0]], np.float32)}, {"age": AGE})
    assert answers["age_pred"].tolist() == [0.0, 41.5, 120.0]


def test_classes_give_the_best_label_and_every_probability():
    answers = decode({"gender": np.array([[0.75, 0.25], [0.0, 1.0]], np.float32)}, {"gender": GENDER})
    assert answers["gender_pred"].tolist() == ["male", "female"]
    assert answers["gender_prob_female"].tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"age": np.zeros((2, 1))}, r"answers \['age'\], its card says \['gender'\]"),
        ({"gender": np.zeros((2, 7))}, "card says 2"),
        ({"gender": np.array([[0.5, np.nan]])}, "not a finite number"),
    ],
)
def test_outputs_that_are_not_what_the_card_says(outputs, message):
    with pytest.raises(PocketfaceError, match=message):
        decode(outputs, {"gender": GENDER})


def test_an_age_answers_its_group_and_band_too():
    assert answerable(["age", "Bald", "mask"]) == ["age", "age_group", "age_band", "Bald", "mask"]


def test_the_same_answer_for_every_face_is_noticed():
    same, other = np.array([[0.4, 0.6]] * 3), np.array([[0.4, 0.6], [0.4, 0.6], [0.5, 0.5]])
    assert varies({"gender": other})
    assert not varies({"gender": same, "age": other})
    assert varies({"gender": same[:1]})
