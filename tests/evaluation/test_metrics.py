import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.evaluation.metrics import measure


def test_age_error_in_years_and_share_within_five():
    table = pd.DataFrame({"age": [20, 30, 40, None], "age_pred": [25.0, 36.0, 40.0, 99.0]})
    measured = measure(table)
    assert measured.values["age_mae"] == pytest.approx(11 / 3)
    assert measured.values["age_cs5"] == pytest.approx(2 / 3), "five years off is still close"
    assert measured.counts["age_mae"] == 3, "a face without an age is left out"


def test_elderly_starts_at_65_answered_years_not_rounded():
    table = pd.DataFrame({"age_group": ["young", "elderly", "elderly"], "age_pred": [64.9, 65.0, 64.9]})
    assert measure(table).values == {"age_group_accuracy": pytest.approx(2 / 3)}


def test_bands_come_from_the_label_or_else_from_the_age():
    table = pd.DataFrame(
        {"age_band": ["20-29", None, None], "age": [None, 71, None], "age_pred": [29.9, 70.0, 1.0]}
    )
    measured = measure(table)
    assert measured.values["age_band_accuracy"] == 1.0
    assert measured.counts["age_band_accuracy"] == 2
    assert measured.counts["age_mae"] == 1


EXPRESSIONS = {
    "expression_pred": ["neutral", "neutral", "sad", "happy"],
    "expression_prob_happy": [0.3, 0.1, 0.2, 0.9],
    "expression_prob_sad": [0.1, 0.3, 0.7, 0.0],
}


def test_happy_and_sad_alone_are_a_choice_of_two():
    table = pd.DataFrame({"expression": ["happy", "sad", "sad", None], **EXPRESSIONS})
    assert measure(table).values["expression_accuracy"] == 1.0


def test_other_expressions_make_it_a_choice_of_all():
    table = pd.DataFrame({"expression": ["happy", "neutral", "sad", None], **EXPRESSIONS})
    measured = measure(table)
    assert measured.values["expression_accuracy"] == pytest.approx(2 / 3)
    assert measured.values["expression_macro_f1"] == pytest.approx((0 + 2 / 3 + 1) / 3)


@pytest.mark.parametrize(("truth", "f1"), [([1, 1, 0, 0], 0.5), ([0, 0, 0, 0], 0.0)])
def test_attributes_count_the_faces_that_have_it(truth, f1):
    table = pd.DataFrame({"Bald": truth, "Bald_pred": ["yes", "no", "yes", "no"]})
    measured = measure(table)
    assert measured.values == {"Bald_accuracy": 0.5, "Bald_f1": f1}


def test_what_has_no_label_or_no_answer_has_no_metric():
    table = pd.DataFrame(
        {"gender": [None, None], "gender_pred": ["male", "male"], "race": ["white", "black"]}
    )
    assert measure(table).values == {}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 116), st.floats(0, 120)), min_size=1, max_size=30), st.randoms())
def test_metrics_do_not_depend_on_the_order_of_faces(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    one, other = (
        measure(pd.DataFrame(rows, columns=["age", "age_pred"])).values for rows in (pairs, shuffled)
    )
    assert one == pytest.approx(other)
    assert one["age_mae"] == pytest.approx(np.mean([abs(age - answer) for age, answer in pairs]))
