import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pocketface.core import labels
from pocketface.faces.index import COLUMNS


@pytest.mark.parametrize(
    "age, band",
    [(0, "0-2"), (2.9, "0-2"), (3, "3-9"), (19.9, "10-19"), (69.9, "60-69"), (70, "more than 70")],
)
def test_a_band_reaches_up_to_the_start_of_the_next(age: float, band: str) -> None:
    assert labels.age_band(age) == band


@given(st.floats(0, 120), st.floats(0, 120))
def test_bands_and_groups_rise_with_age(one: float, other: float) -> None:
    younger, older = sorted((one, other))
    bands, groups = labels.AGE_BANDS, labels.AGE_GROUPS
    assert bands.index(labels.age_band(younger)) <= bands.index(labels.age_band(older))
    assert groups.index(labels.age_group(younger)) <= groups.index(labels.age_group(older))


def test_no_answer_has_the_name_of_a_column_that_faces_have() -> None:
    assert set(COLUMNS) <= labels.TAKEN
    for name in labels.TAKEN:
        with pytest.raises(ValueError, match=f"'{name}' is taken"):
            TypeAdapter(labels.Head).validate_python(name)


def test_elderly_is_from_65_on() -> None:
    assert (labels.age_group(64.99), labels.age_group(65)) == ("young", "elderly")


def test_the_vocabularies_are_the_datasets_own() -> None:
    assert labels.EXPRESSIONS.index("neutral") == 6
    assert labels.GENDERS[0] == "male"
    assert len(labels.CELEBA_ATTRIBUTES) == len(set(labels.CELEBA_ATTRIBUTES)) == 40


def test_only_yes_and_no_are_turned_round() -> None:
    assert labels.in_words("No_Beard", "no") == ("beard", "yes")
    assert labels.in_words("No_Mask", "true") == ("no mask", "true")
