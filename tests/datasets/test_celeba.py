import pytest

from drawn_datasets import Reader, celeba, jpeg, scene
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CELEBA_ATTRIBUTES, CLASSES

ATTRIBUTES, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"
FIRST = "img_align_celeba/000001.jpg"


def test_attributes_by_name(records: Reader) -> None:
    found = records("celeba", celeba(8))
    person = found["img_align_celeba/000004.jpg"].labels  # a smiling woman of 16
    assert tuple(person) == (*CELEBA_ATTRIBUTES, "gender")
    assert {name for name in CELEBA_ATTRIBUTES if person[name]} == {
        "Wearing_Lipstick",
        "Smiling",
        "Young",
        "No_Beard",
    }


def test_gender_in_the_words_of_other_datasets(records: Reader) -> None:
    for record in records("celeba", celeba(12)).values():
        assert record.labels["gender"] == ("male" if record.labels["Male"] else "female")
        assert record.labels["gender"] in CLASSES["gender"]


def test_identities_where_they_are_at_hand(records: Reader) -> None:
    listed = b"000001.jpg 2880\n000002.jpg 2937\n000003.jpg 2880\n"
    found = records("celeba", celeba(4) | {"Anno/identity_CelebA.txt": listed})
    assert [record.labels.get("identity") for record in found.values()] == ["2880", "2937", "2880", None]
    assert "identity" not in records("celeba", celeba(1))[FIRST].labels


def test_the_official_split(records: Reader) -> None:
    splits = [record.split for record in records("celeba", celeba(5)).values()]
    assert splits == ["train", "train", "train", "val", "test"]


def test_listed_and_absent_is_no_record_present_and_unlisted_is_rejected(records: Reader) -> None:
    members = celeba(4) | {"img_align_celeba/999999.jpg": jpeg(scene())}
    found = records("celeba", members)
    assert [record.problem for record in found.values()] == [None] * 4 + ["no_split"]


@pytest.mark.parametrize(
    ("member", "was", "becomes", "problem"),
    [
        (ATTRIBUTES, b"000001.jpg -1", b"000001.jpg  0", "bad_label"),
        (ATTRIBUTES, b"000001.jpg -1", b"000001.jpg", "bad_label"),
        (ATTRIBUTES, b"000001.jpg -1", b"000009.jpg -1", "no_label"),
        (PARTITION, b"000001.jpg 0", b"000001.jpg 3", "no_split"),
        (PARTITION, b"000001.jpg 0", b"000001.jpg", "no_split"),
    ],
)
def test_impossible_values_are_rejected(
    records: Reader, member: str, was: bytes, becomes: bytes, problem: str
) -> None:
    members = celeba(2)
    assert was in members[member]
    members[member] = members[member].replace(was, becomes)
    found = records("celeba", members)
    assert [record.problem for record in found.values()] == [problem, None]


@pytest.mark.parametrize("member", [ATTRIBUTES, PARTITION])
def test_a_missing_list_is_an_error(records: Reader, member: str) -> None:
    members = celeba(2)
    del members[member]
    with pytest.raises(PocketfaceError, match=f"has no {member} or .*csv"):
        records("celeba", members)


def test_attributes_in_another_order_are_an_error(records: Reader) -> None:
    members = celeba(2)
    members[ATTRIBUTES] = members[ATTRIBUTES].replace(b"Bald Bangs", b"Bangs Bald")
    with pytest.raises(PocketfaceError, match="does not name the 40 attributes"):
        records("celeba", members)
