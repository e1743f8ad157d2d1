import pytest

from pocketface.metrics.naming import change, label_of, loss, shown, size, spread, title_of


@pytest.mark.parametrize(
    ("name", "title", "label"),
    [
        ("utkface.age_mae", "age MAE", "age MAE (years)"),
        ("photos.age_group_accuracy", "age group accuracy", "age group accuracy (%)"),
        ("expression_macro_f1", "expression macro F1", "expression macro F1 (%)"),
        ("gender_balanced_accuracy", "gender balanced accuracy", "gender balanced accuracy (%)"),
        ("celeba.No_Beard_f1", "No Beard (no) F1", "No Beard (no) F1 (%)"),
        ("Bald_auc", "Bald AUC", "Bald AUC (%)"),
        ("gender_ece", "gender calibration error", "gender calibration error (%)"),
        ("val_loss", "val loss", "val loss"),
    ],
)
def test_a_metric_is_named_by_its_ending(name, title, label):
    assert (title_of(name), label_of(name)) == (title, label)


def test_changes_are_signed_and_shares_are_in_points():
    assert change("u.gender_accuracy", 0.874, 0.912) == "\N{MINUS SIGN}3.8"
    assert change("u.age_mae", 6.30, 6.21) == "+0.09"
    assert change("u.age_mae", 6.211, 6.21) == "±0"
    assert change("u.age_mae", 6.2, None) == "\N{EN DASH}"
    assert shown("u.gender_accuracy", 0.9) == "90.0"


def test_sizes_are_in_powers_of_ten():
    assert [size(999_400), size(1_203_456), size(None)] == ["999 kB", "1.20 MB", "\N{EN DASH}"]


def test_a_loss_is_positive_whichever_way_is_better():
    assert loss("u.age_mae", 0.3) == 0.3
    assert loss("u.gender_accuracy", -0.01) == 0.01


def test_intervals_are_printed_as_their_figure_is():
    assert spread("u.age_mae", 6.1765, 6.6279) == "6.18 to 6.63"
    assert spread("u.gender_accuracy", -0.0112, 0.0003, signed=True) == "\N{MINUS SIGN}1.1 to 0"


def test_a_value_below_zero_has_the_minus_of_its_interval():
    assert shown("age_bias", -2.134) == "\N{MINUS SIGN}2.13"
    assert spread("age_bias", -4.15, 0.26) == "\N{MINUS SIGN}4.15 to 0.26"
