import pytest
from verdicts import GENDER, METRIC, RARELY, changes, equivalent, false_findings, found, margin_of

AT_MOST = 0.055


@pytest.mark.slow
@pytest.mark.parametrize("n", [18, 200, 3000])
@pytest.mark.parametrize("discordant", [0.02, 0.15])
def test_like_variants_are_seldom_called_worse_or_better(n, discordant):
    assert (false_findings(n, GENDER, 8000, discordant) <= AT_MOST).all()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "trials"), [(18, 8000), (200, 8000), (3000, 10_000)])
def test_like_ages_are_seldom_called_worse_or_better(n, trials):
    assert false_findings(n, METRIC[-1:], trials)[0] <= AT_MOST


@pytest.mark.slow
@pytest.mark.parametrize("n", [18, 200, 3000])
@pytest.mark.parametrize("metric", METRIC)
def test_a_change_as_large_as_the_margin_is_seldom_called_equivalent(n, metric):
    assert equivalent(changes(n, metric, 2000, margin_of(metric), RARELY)) <= AT_MOST


@pytest.mark.slow
def test_no_change_is_called_equivalent_where_answers_seldom_differ():
    for metric in ("gender_accuracy", "age_mae"):
        assert equivalent(changes(3000, metric, 30, 0, RARELY)) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("n", [18, 200, 3000])
def test_detectable_losses_are_found_in_four_of_five(n):
    for metric in ("gender_accuracy", "age_mae"):
        least = changes(n, metric, 10, 0)[0].detectable
        assert least is not None and found(changes(n, metric, 200, least)) >= 0.7


def test_few_like_pairs():
    """The simulation itself, in brief."""
    assert false_findings(200, GENDER, 100).shape == (3,)
    assert equivalent(changes(18, "gender_accuracy", 5, margin_of("gender_accuracy"))) == 0
    assert found(changes(18, "age_mae", 5, 5.0)) == 1
