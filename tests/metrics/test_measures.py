import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from pocketface.core.labels import EXPRESSIONS
from pocketface.metrics.measures import (
    BINS,
    POSITIVE,
    bin_of,
    comparisons,
    measure,
    of_errors,
    reliability,
    score,
    tallies,
)
from pocketface.metrics.registry import METRICS, metric_of, name_of, squared_calibration, task_of
from pocketface.metrics.settings import Margins

LIST = Path(os.environ.get("POCKETFACE_MIRROR", "")) / "celeba/list_attr_celeba.zip"


def test_age_error_in_years_and_share_within_five():
    table = pd.DataFrame({"age": [20, 30, 40, None], "age_pred": [25.0, 36.0, 40.0, 99.0]})
    measured = measure(table)
    assert measured.values["age_mae"] == pytest.approx(11 / 3)
    assert measured.values["age_cs5"] == pytest.approx(2 / 3), "five years off is still close"
    assert measured.counts["age_mae"] == 3, "a face without an age is left out"


def test_elderly_starts_at_65_answered_years_not_rounded():
    table = pd.DataFrame({"age_group": ["young", "elderly", "elderly"], "age_pred": [64.9, 65.0, 64.9]})
    assert measure(table).values == {
        "age_group_accuracy": pytest.approx(2 / 3),
        "age_group_balanced_accuracy": pytest.approx(3 / 4),
    }


def test_bands_come_from_the_label_or_else_from_the_age():
    table = pd.DataFrame(
        {"age_band": ["20-29", None, None], "age": [None, 71, None], "age_pred": [29.9, 70.0, 1.0]}
    )
    measured = measure(table)
    assert measured.values["age_band_accuracy"] == 1.0
    assert measured.counts["age_band_accuracy"] == 2
    assert measured.counts["age_mae"] == 1


ANSWERS = {
    "expression_pred": ["neutral", "neutral", "sad", "happy"],
    "expression_prob_happy": [0.3, 0.1, 0.2, 0.9],
    "expression_prob_sad": [0.1, 0.3, 0.7, 0.0],
}


def test_happy_and_sad_alone_are_a_choice_of_two_as_sure_as_its_share_of_both():
    table = pd.DataFrame({"expression": ["happy", "sad", "sad", None], **ANSWERS})
    assert measure(table).values["expression_accuracy"] == 1.0
    confidence = comparisons(table)["expression"].confidence
    assert confidence is not None
    assert confidence[:3].tolist() == pytest.approx([0.75, 0.75, 7 / 9])


def test_other_expressions_make_it_a_choice_of_all():
    table = pd.DataFrame({"expression": ["happy", "neutral", "sad", None], **ANSWERS})
    measured = measure(table)
    assert measured.values["expression_accuracy"] == pytest.approx(2 / 3)
    assert measured.values["expression_macro_f1"] == pytest.approx((0 + 2 / 3 + 1) / 3)


def test_attributes_count_the_faces_of_their_positive_class():
    """`No_Beard` is measured on beards, the rarer class."""
    for task, truth, answer in (("Bald", [1, 1, 0, 0, 0], "yes"), ("No_Beard", [0, 0, 1, 1, 1], "no")):
        other = {"yes": "no", "no": "yes"}[answer]
        table = pd.DataFrame({task: truth, f"{task}_pred": [answer, other, other, other, other]})
        assert measure(table).values == {
            f"{task}_accuracy": pytest.approx(4 / 5),
            f"{task}_balanced_accuracy": pytest.approx(3 / 4),
            f"{task}_f1": pytest.approx(2 / 3),
            f"{task}_weighted_f1": pytest.approx((2 * 2 / 3 + 3 * 6 / 7) / 5),
        }


def test_what_is_nothing_of_nothing_is_left_out():
    """Without a positive face there is no F1, no AUC and no average precision."""
    table = pd.DataFrame({"Mustache": [0, 0], "Mustache_pred": "no", "Mustache_prob_yes": [0.1, 0.2]})
    table["Mustache_prob_no"] = 1 - table["Mustache_prob_yes"]
    values = measure(table).values
    assert set(values) == {f"Mustache_{name}" for name in ("accuracy", "balanced_accuracy", "weighted_f1")}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1), st.sampled_from(["Bald", "Young"]))
def test_ranks_are_those_of_scikit_learn(faces, task):
    """With ties; of `Young` the positive class is the rarer one, the old."""
    truth, score = np.array([(True, 3), (False, 3), *faces]).T
    positive = {"Bald": "yes", "Young": "no"}[task]
    table = pd.DataFrame({task: truth if positive == "yes" else 1 - truth, f"{task}_pred": "yes"})
    values = measure(table.assign(**{f"{task}_prob_{positive}": score / 8})).values
    assert values[f"{task}_auc"] == pytest.approx(sklearn.roc_auc_score(truth, score))
    found = sklearn.average_precision_score(truth, score)
    assert values[f"{task}_average_precision"] == pytest.approx(found)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EXPRESSIONS), st.sampled_from(EXPRESSIONS)), min_size=1))
def test_classes_are_scored_as_by_scikit_learn(pairs):
    truth, answer = zip(*[("angry", "angry"), *pairs], strict=True)  # not only happy and sad
    values = measure(pd.DataFrame({"expression": truth, "expression_pred": answer})).values
    occurring = sorted(set(truth))
    recalls = sklearn.recall_score(truth, answer, labels=occurring, average="macro", zero_division=0)
    assert values == pytest.approx(
        {
            "expression_accuracy": sklearn.accuracy_score(truth, answer),
            "expression_balanced_accuracy": recalls,
            "expression_macro_f1": sklearn.f1_score(
                truth, answer, labels=occurring, average="macro", zero_division=0
            ),
            "expression_weighted_f1": sklearn.f1_score(truth, answer, average="weighted", zero_division=0),
        }
    )


def calibrated(n: int, seed: int, off: float = 0.0) -> pd.DataFrame:
    """Genders that are answered right as often as the probability says, less `off`."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.55, 0.95, n)
    right = random.random(n) < sure - off
    return pd.DataFrame(
        {
            "gender": np.where(right, "male", "female"),
            "gender_pred": "male",
            "gender_prob_male": sure,
            "gender_prob_female": 1 - sure,
        }
    )


def test_calibration_error_is_the_gap_between_confidence_and_right_answers():
    """100 answers given 0.9 of which 60 are right, 100 given 0.6 of which all are: gaps of 0.3 and 0.4."""
    female = [0.1] * 100 + [0.4] * 100
    table = pd.DataFrame(
        {
            "gender": ["male"] * 60 + ["female"] * 40 + ["male"] * 100 + [None],
            "gender_pred": "male",
            "gender_prob_male": [1 - p for p in female] + [1.0],
            "gender_prob_female": [*female, 0.0],
        }
    )
    squares = (0.3**2 - 0.6 * 0.4 / 99, 0.4**2)
    assert measure(table).values["gender_ece"] == pytest.approx(np.mean(squares) ** 0.5)
    found = reliability(comparisons(table)["gender"])
    assert found["confidence"].tolist() == pytest.approx([0.6, 0.9])
    assert found["accuracy"].tolist() == pytest.approx([1.0, 0.6])
    assert found["faces"].tolist() == [100, 100]


def test_calibration_error_has_no_bias():
    """Plug-in, the squared error of a calibrated model is 0.005 at 200 faces; here it is right on average."""
    for off, n in ((0.0, 200), (0.1, 200), (0.1, 1000)):
        part = tallies(comparisons(calibrated(200 * n, 0, off)))[1]
        squared = squared_calibration(part.terms.reshape(200, n, -1).sum(axis=1), 1)
        assert squared.mean() == pytest.approx(off**2, abs=4 * squared.std() / 200**0.5)


def test_few_faces_say_nothing_of_calibration():
    assert "gender_ece" not in measure(calibrated(199, 0)).values
    assert "gender_ece" in measure(calibrated(200, 0)).values


def test_years_are_close_by_whole_years_as_labels_are():
    table = pd.DataFrame({"age": [30, 30, 30, 30], "age_pred": [35.49, 35.5, 24.5, 24.49]})
    assert measure(table).values["age_cs5"] == 0.5
    assert measure(table).values["age_bias"] == pytest.approx((5.49 + 5.5 - 5.5 - 5.51) / 4)


def test_a_bin_of_confidence_holds_its_upper_edge():
    assert bin_of(np.array([0, 1 / BINS, 1.01 / BINS, 1])).tolist() == [0, 0, 1, BINS - 1]


def test_a_part_of_the_faces_is_scored_as_a_table_of_its_own():
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": random.integers(1, 90, 60).astype(float),
            "age_pred": random.uniform(1, 90, 60),
            "gender": random.choice(["male", "female"], 60),
            "gender_pred": random.choice(["male", "female"], 60),
        }
    )
    inside = random.random(60) < 0.4
    part = score(tallies(comparisons(table)), inside)
    assert part.values == pytest.approx(measure(table[inside]).values)
    assert part.counts["age_mae"] == inside.sum()


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


def test_errors_of_faces_make_the_metric_that_their_answers_make():
    table = pd.DataFrame({"age": [20.0, 40, 60], "age_pred": [21.0, 40, 57]})
    table = table.assign(gender=["male", "female", "male"], gender_pred=["male", "male", "male"])
    errors = {"age_mae": np.array([1.0, 0, 3]), "gender_accuracy": np.array([0.0, 1, 0])}
    for name, own in errors.items():
        assert score([of_errors(name, own)]).values[name] == measure(table).values[name]


def test_a_metric_is_found_by_the_longest_ending():
    assert name_of("u.No_Beard_weighted_f1") == "weighted_f1" and task_of("u.No_Beard_f1") == "No_Beard"
    assert metric_of("photos.age_group_balanced_accuracy") is METRICS["balanced_accuracy"]
    assert metric_of("size_bytes") is None and task_of("val_loss") == ""
    assert METRICS["bias"].loss(-2.0, 1.0) == 1.0, "further from zero is worse"


def test_margins_go_by_the_unit_and_without_one_nothing_is_equivalent():
    margins = Margins(years=0.2, share=0.01)
    assert [METRICS[name].margin(margins) for name in ("bias", "auc")] == [0.2, 0.01]
    assert replace(METRICS["accuracy"], unit="").margin(margins) == 0


@pytest.mark.skipif(not LIST.is_file(), reason="POCKETFACE_MIRROR has no list_attr_celeba.zip")
@pytest.mark.parametrize(
    ("task", "printed"),
    [
        ("Mustache", 0.07977594116085986),
        ("Bald", 0.04390140287526672),
        ("Eyeglasses", 0.12227515385185733),
        ("No_Beard", 0.2833502796136248),
        ("Wearing_Hat", 0.09244081217604994),
    ],
)
def test_the_facenet_reports_reference_scores_are_met(task, printed):
    """Its minority estimator answers the positive class to all faces of CelebA."""
    truth = pd.read_csv(LIST, sep=r"\s+", skiprows=1, usecols=[task])[task].to_numpy() > 0
    table = pd.DataFrame({task: truth.astype(int), f"{task}_pred": POSITIVE.get(task, "yes")})
    assert measure(table).values[f"{task}_f1"] == pytest.approx(printed, abs=5e-7)


def test_a_model_that_answers_bands_of_ages_is_measured():
    bands = ["20-29", "30-39", "20-29", "30-39"]
    told = pd.DataFrame({"age_band": bands, "age_band_pred": ["20-29"] * 2 + bands[2:]})
    assert measure(told).values["age_band_accuracy"] == 0.75
    assert not measure(pd.DataFrame({"race": ["white"], "race_pred": ["white"]})).values


def test_what_one_more_answer_changes_takes_no_gigabytes():
    truth = np.array([f"w{i}" for i in range(60)], object)[np.arange(300) % 60]
    told = (np.where(np.arange(300) % 3 == 0, np.roll(truth, 7), truth), truth)
    one, other = (tallies(comparisons(pd.DataFrame({"who": truth, "who_pred": said})))[0] for said in told)
    tracemalloc.start()
    assert one.reach(other)["who_accuracy"] == pytest.approx(1 / 300)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
