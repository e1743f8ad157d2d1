from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pocketface.core.errors import PocketfaceError
from pocketface.metrics.confidence import (
    RESAMPLES,
    Change,
    corrected,
    holm,
    mcnemar,
    paired,
    resample,
    sampled,
    sign_flip,
    wilson,
)
from pocketface.metrics.measures import comparisons, tallies
from pocketface.metrics.settings import Margins


def genders(right: list[bool]) -> pd.DataFrame:
    """Faces that are all male, answered right or wrong."""
    return pd.DataFrame({"gender": "male", "gender_pred": np.where(right, "male", "female")})


@pytest.fixture(scope="module")
def ages() -> pd.DataFrame:
    random = np.random.default_rng(4)
    age = random.integers(1, 90, 300).astype(float)
    return pd.DataFrame({"age": age, "age_pred": age + random.normal(0, 8, 300)})


def test_intervals_are_those_of_scipy(ages):
    errors = (ages["age"] - ages["age_pred"]).abs().to_numpy()
    reference = stats.bootstrap(
        (errors,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    low, high = resample(ages).interval("age_mae")
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.08)
    assert low < errors.mean() < high


def test_eighteen_of_eighteen_are_not_surely_all():
    low, high = resample(genders([True] * 18)).interval("gender_accuracy")
    assert (low, high) == pytest.approx((0.824, 1.0), abs=1e-3)
    assert resample(genders([True] * 9 + [False] * 9)).interval("gender_accuracy")[0] < 0.3


def test_draws_do_not_depend_on_what_else_is_drawn(ages):
    more = pd.concat([ages, genders([True] * 300)], axis=1)
    own, among = resample(ages).draws["age_mae"], resample(more).draws["age_mae"]
    assert own.shape == (RESAMPLES,) and (own == among).all()


def test_the_same_errors_cancel_out_in_a_paired_comparison(ages):
    """A shift that is far smaller than the interval of either variant is still seen."""
    off = ages["age_pred"] - ages["age"]
    other = ages.assign(age_pred=ages["age_pred"] + 0.1 * np.sign(off))
    change = paired(resample(other), resample(ages))["age_mae"]
    low, high = resample(ages).interval("age_mae")
    assert high - low > 1
    assert change.change == pytest.approx(0.1) and change.low == pytest.approx(0.1, abs=2e-3)
    assert change.p < 0.01


def test_no_change_of_many_faces_is_equivalent(ages):
    same = pd.concat([ages, genders([True] * 250 + [False] * 50)], axis=1)
    many = pd.concat([same] * 3, ignore_index=True)
    for table, verdict in ((same, "cannot tell"), (many, "equivalent")):
        changes = paired(resample(table), resample(table))
        for metric in ("age_cs5", "age_group_accuracy", "gender_accuracy"):
            change = changes[metric]
            assert (change.change, change.p, -change.low) == (0, 1, change.high)
            assert change.verdict == verdict and change.detectable == pytest.approx(
                7.849 / len(table), rel=1e-3
            )
        assert changes["age_mae"].verdict == "equivalent"
    change = paired(resample(same), resample(same))["gender_accuracy"]
    assert change.high == pytest.approx(3.69 / 300, abs=2e-4), "as of a Poisson count of none"


@pytest.mark.parametrize(
    ("only_one", "only_other", "p_value"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 0.0625), (1, 9, 0.021484375)],
)
def test_mcnemar_is_exact(only_one, only_other, p_value):
    both, neither = [True] * 20, [False] * 7
    one = np.array(both + neither + [True] * only_one + [False] * only_other)
    other = np.array(both + neither + [False] * only_one + [True] * only_other)
    assert mcnemar(one, other) == pytest.approx(p_value)


def test_the_same_change_is_found_or_not_by_how_many_faces_differ():
    steady = genders([True] * 90 + [False] * 10), genders([False] * 8 + [True] * 82 + [False] * 10)
    shaken = genders([True] * 48 + [False] * 40 + [True] * 12), genders([False] * 48 + [True] * 52)
    for (then, now), verdict in ((steady, "worse"), (shaken, "cannot tell")):
        change = paired(resample(now), resample(then))["gender_accuracy"]
        assert change.change == pytest.approx(-0.08)
        assert change.verdict == verdict


def test_groups_are_measured_and_paired_on_their_own(ages):
    old = (ages["age"] >= 60).to_numpy()
    worse = ages.assign(age_pred=np.where(old, ages["age"] + 30, ages["age_pred"]))
    groups = {("age_band", "old"): old, ("age_band", "young"): ~old}
    now, then = (
        {
            name: sampled(tallies(comparisons(table), ["age_mae"]), len(ages), None, inside)
            for name, inside in groups.items()
        }
        for table in (worse, ages)
    )
    assert now["age_band", "old"].values["age_mae"] == pytest.approx(30)
    assert now["age_band", "old"].n == old.sum()
    assert set(now["age_band", "old"].values) == {"age_mae"}
    assert paired(now["age_band", "old"], then["age_band", "old"])["age_mae"].verdict == "worse"
    assert paired(now["age_band", "young"], then["age_band", "young"])["age_mae"].change == 0


def test_faces_without_a_label_change_nothing_but_the_draws(ages):
    more = pd.concat([ages, pd.DataFrame({"age": [None] * 40, "age_pred": 50.0})], ignore_index=True)
    assert resample(more).values == pytest.approx(resample(ages).values)
    assert resample(more).parts[0].known.sum() == 300


def test_other_faces_cannot_be_paired(ages):
    with pytest.raises(PocketfaceError, match="same faces, not 299 and 300"):
        paired(resample(ages.iloc[1:].reset_index(drop=True)), resample(ages))


def test_nothing_measured_has_no_intervals():
    assert resample(pd.DataFrame({"age": [], "age_pred": []}, dtype=float)).values == {}


def answered(n: int, seed: int, noise: float = 0.05) -> pd.DataFrame:
    """Ages, genders and beards, answered with some error; `noise` is the variant's own."""
    random, own = np.random.default_rng(seed), np.random.default_rng([seed, round(1000 * noise)])
    male, beard = random.random(n) < 0.5, random.random(n) < 0.3
    age = random.integers(1, 90, n).astype(float)
    sure = np.clip(0.5 + 0.3 * np.where(male, 1, -1) + random.normal(0, 0.3, n), 0, 1)
    clear = np.clip(0.3 + 0.3 * beard + random.normal(0, 0.2, n), 0, 1)
    sure, clear = (np.clip(one + own.normal(0, noise, n), 0, 1) for one in (sure, clear))
    return pd.DataFrame(
        {
            "age": age,
            "age_pred": age + random.normal(0, 8, n) + own.normal(0, 10 * noise, n),
            "gender": np.where(male, "male", "female"),
            "gender_pred": np.where(sure > 0.5, "male", "female"),
            "gender_prob_male": sure,
            "gender_prob_female": 1 - sure,
            "No_Beard": 1 - beard,
            "No_Beard_pred": np.where(clear > 0.5, "no", "yes"),
            "No_Beard_prob_no": clear,
            "No_Beard_prob_yes": 1 - clear,
        }
    )


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 60), st.integers(0, 99))
def test_swapping_the_variants_turns_every_change_around(n, seed):
    one, other = resample(answered(n, seed, 0.1)), resample(answered(n, seed, 0.2))
    back = paired(other, one)
    for metric, change in paired(one, other).items():
        assert back[metric].change == -change.change and back[metric].p == pytest.approx(change.p)
        assert back[metric].loss == -change.loss
        if change.verdict in ("worse", "better"):
            assert {change.verdict, back[metric].verdict} == {"worse", "better"}
        assert change.low <= change.change <= change.high and 0 < change.p <= 1


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 14), st.integers(0, 99), st.randoms())
def test_tests_do_not_depend_on_the_order_of_faces(n, seed, random):
    one, other = answered(n, seed, 0.1), answered(n, seed, 0.2)
    order = random.sample(range(n), n)
    found = paired(resample(one), resample(other))
    shuffled = paired(*(resample(table.iloc[order].reset_index(drop=True)) for table in (one, other)))
    for metric, change in found.items():
        assert shuffled[metric].change == pytest.approx(change.change)
        assert shuffled[metric].p == pytest.approx(change.p, abs=1e-9 if n <= 10 else 0.06)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 60), st.integers(0, 99))
def test_identical_answers_are_no_change(n, seed):
    sample = resample(answered(n, seed))
    for metric, change in paired(sample, sample).items():
        assert (change.change, change.p, change.loss) == (0, 1, 0)
        assert change.verdict in ("equivalent", "cannot tell"), metric


def test_all_swaps_of_a_few_faces_are_tried():
    """By hand: of 4 faces whose errors differ, 2 of the 16 swaps are as one-sided as what was seen."""
    then = pd.DataFrame({"age": [30.0] * 6, "age_pred": [30, 31, 32, 33, 34, 35]}, dtype=float)
    now = then.assign(age_pred=[30, 31, 33.0, 35.0, 37.0, 39.0])
    assert paired(resample(now), resample(then))["age_mae"].p == 2 / 16


def test_shares_of_right_answers_have_the_same_p_as_mcnemar():
    one, other = (tallies(comparisons(answered(300, 3, noise)))[-3] for noise in (0.02, 0.2))
    assert "No_Beard_accuracy" in one.metrics
    plain = sign_flip(replace(one, hits={}), other)
    assert plain["No_Beard_accuracy"] == pytest.approx(sign_flip(one, other)["No_Beard_accuracy"], abs=0.03)


@pytest.mark.parametrize(("faces", "p"), [(4, 0.125), (5, 0.0625), (6, 0.03125)])
def test_few_one_way_faces_are_no_finding_in_any_metric(faces, p):
    """The bootstrap's interval, which has no draw above 0, called four of them real."""
    then = genders([True] * 40)
    then["gender"] = ["male", "female"] * 20
    then["gender_pred"] = then["gender"]
    now = then.copy()
    now.loc[: faces - 1, "gender_pred"] = ["female", "male"] * (faces // 2) + ["female"] * (faces % 2)
    changes = paired(resample(now), resample(then))
    for metric in ("gender_accuracy", "gender_balanced_accuracy", "gender_macro_f1"):
        assert changes[metric].p == p
        assert changes[metric].verdict == ("worse" if faces == 6 else "cannot tell")


def test_holm_counts_variants_that_answer_alike_once():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []

    def found(*told: tuple[float, int]) -> list[Change]:
        """Of levels with these p-values and answers."""
        family = {i: {"m": Change(-0.1, -0.2, 0.0, p, loss=0.1)} for i, (p, _) in enumerate(told)}
        answers = {i: {"m": answer} for i, (_, answer) in enumerate(told)}
        return [own["m"] for own in corrected(family, answers).values()]

    assert found((0.03, 1), (0.03, 2), (0.2, 3))[0].verdict == "cannot tell"
    one, twin, _ = found((0.03, 1), (0.03, 1), (0.2, 3))
    assert one.p_holm == twin.p_holm == pytest.approx(0.06)
    _, same = found((0.03, 1), (0.03, 1))
    assert same.p_holm == 0.03 and same.verdict == "worse"


def test_variants_are_corrected_together(ages):
    float32 = resample(ages)
    off = ages.assign(age_pred=ages["age"] + 1.25 * (ages["age_pred"] - ages["age"]))
    tables = {"int8": off, "int8_io": off, "level1": ages, "level2": ages}
    samples = {level: resample(table) for level, table in tables.items()}
    found = corrected(
        {level: paired(sample, float32) for level, sample in samples.items()},
        {level: sample.answers for level, sample in samples.items()},
    )
    assert found["int8"]["age_mae"].verdict == found["int8_io"]["age_mae"].verdict == "worse"
    assert found["int8"]["age_mae"].p_holm == pytest.approx(2 * found["int8"]["age_mae"].p)
    assert found["level1"]["age_mae"].p_holm == 1


def test_a_change_that_is_surely_small_is_none(ages):
    """It is within the margin and p is tiny; a margin of a tenth of it makes it a loss."""
    off = ages["age_pred"] - ages["age"]
    one, other = resample(ages.assign(age_pred=ages["age_pred"] + 0.05 * np.sign(off))), resample(ages)
    assert paired(one, other)["age_mae"].verdict == "equivalent"
    assert paired(one, other)["age_mae"].p < 0.01
    assert paired(one, other, Margins(years=0.005))["age_mae"].verdict == "worse"


def test_faces_of_one_person_are_one_observation():
    """Thirty persons with ten like faces each: the interval is that of thirty, and so is the test."""
    one, other = answered(30, 5, 0.1), answered(30, 5, 0.3)
    people = pd.Series([f"p{i // 10}" if i < 290 else None for i in range(300)])
    tenfold = [table.loc[table.index.repeat(10)].reset_index(drop=True) for table in (one, other)]
    alone = paired(*(resample(table) for table in tenfold))["age_mae"]
    known = paired(*(resample(table.assign(identity=people)) for table in tenfold))["age_mae"]
    single = paired(resample(one), resample(other))["age_mae"]
    assert resample(one.assign(identity=range(30))).people is None
    assert alone.high - alone.low < 0.5 * (single.high - single.low)
    assert known.high - known.low == pytest.approx(single.high - single.low, rel=0.2)
    assert known.p == pytest.approx(single.p, abs=0.05) and alone.p < known.p


def test_wilsons_interval_is_scipys():
    for right, n in ((0, 18), (18, 18), (3, 7), (151, 200)):
        low, high = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert wilson(right, n) == pytest.approx((low, high))


def test_eighteen_of_eighteen_faces_of_nine_persons_are_not_surely_all():
    for right, expected in ((True, (0.701, 1.0)), (False, (0.0, 0.299))):
        table = genders([right] * 18).assign(identity=[f"p{i // 2}" for i in range(18)])
        assert resample(table).interval("gender_accuracy") == pytest.approx(expected, abs=1e-3)
