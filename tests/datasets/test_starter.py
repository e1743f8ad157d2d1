import pytest

from drawn_datasets import Reader


def test_the_name_says_what_the_face_was_drawn_to_look_like(records: Reader) -> None:
    name = "starter/00017_single_34_female_happy.jpg"
    record = records("starter", {name: b"-"})[name]
    assert record.labels == {"age": 34.0, "gender": "female", "expression": "happy"}
    assert record.problem is None


@pytest.mark.parametrize("kind", ["none", "two"])
def test_nobody_in_particular_has_no_labels_and_is_for_the_crop_policy_to_judge(
    records: Reader, kind: str
) -> None:
    [record] = records("starter", {f"starter/00001_{kind}.jpg": b"-"}).values()
    assert (dict(record.labels), record.problem) == ({}, None)


def test_a_cut_face_has_labels(records: Reader) -> None:
    [record] = records("starter", {"starter/00001_cut_7_male_sad.jpg": b"-"}).values()
    assert record.labels["age"] == 7


@pytest.mark.parametrize("name", ["00001.jpg", "00001_single.jpg", "00001_single_34_she_happy.jpg"])
def test_other_names_are_rejected(records: Reader, name: str) -> None:
    [record] = records("starter", {f"starter/{name}": b"-"}).values()
    assert record.problem == "bad_name"
