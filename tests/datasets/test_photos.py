import pytest

from drawn_datasets import Reader, photos


def test_the_name_says_what_is_known(records: Reader) -> None:
    found = records("photos", {"photos/elderly_woman_happy_3.jpeg": b"-"})
    assert found["photos/elderly_woman_happy_3.jpeg"].labels == {
        "age_group": "elderly",
        "gender": "female",
        "expression": "happy",
    }


def test_all_are_held_out(records: Reader) -> None:
    found = records("photos", photos(8))
    assert {record.split for record in found.values()} == {"test"}
    assert {image.rpartition(".")[2] for image in found} == {"jpg", "jpeg"}


@pytest.mark.parametrize(
    "name", ["young_man_angry_1.jpg", "adult_man_sad_1.jpg", "young_man_sad.jpg", "DSC_1.jpg"]
)
def test_other_names_are_rejected(records: Reader, name: str) -> None:
    [record] = records("photos", {f"photos/{name}": b"-"}).values()
    assert (record.problem, record.split) == ("bad_name", "test")
