import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pocketface.core.errors import PocketfaceError
from pocketface.metrics.confidence import RESAMPLES, mcnemar, paired, resample, resample_groups


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
            assert change.verdict == verdict and change.detectable == pytest.approx(6 / len(table))
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
    _, now = resample_groups(worse, groups, ["age_mae"])
    _, then = resample_groups(ages, groups, ["age_mae"])
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
    assert resample(pd.DataFrame({"age": [], "age_pred": []}, dtype=float)).intervals == {}
