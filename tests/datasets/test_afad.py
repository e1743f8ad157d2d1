import pytest

from drawn_datasets import Reader, afad


def test_age_and_gender_are_folders(records: Reader) -> None:
    found = records("afad", {"AFAD-Full/15/111/638660-1.jpg": b"-", "AFAD-Full/40/112/1-0.jpg": b"-"})
    assert [dict(record.labels) for record in found.values()] == [
        {"age": 15.0, "gender": "male", "identity": "638660"},
        {"age": 40.0, "gender": "female", "identity": "1"},
    ]


def test_thumbs_db_and_lists_are_passed_over(records: Reader) -> None:
    members = afad(4)
    assert any(name.endswith("Thumbs.db") for name in members)
    assert all(image.endswith(".jpg") for image in records("afad", members))


def test_both_pictures_of_a_member_are_in_one_split(records: Reader) -> None:
    found = records(
        "afad", {f"AFAD-Full/{20 + n}/111/{i}-{n}.jpg": b"-" for i in range(40) for n in range(2)}
    )
    splits = [{r.split for r in found.values() if r.labels["identity"] == str(i)} for i in range(40)]
    assert all(len(split) == 1 for split in splits)
    assert {"train", "val"} <= set.union(*splits)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("AFAD-Full/15/113/638660-1.jpg", "bad_label"),
        ("AFAD-Full/150/111/638660-1.jpg", "bad_label"),
        ("AFAD-Full/young/111/638660-1.jpg", "bad_name"),
        ("638660-1.jpg", "bad_name"),
        ("AFAD-Full/15/111/638660-1.gif.jpg/x.jpg", "bad_name"),
    ],
)
def test_other_folders_are_rejected(records: Reader, image: str, problem: str) -> None:
    assert records("afad", {image: b"-"})[image].problem == problem
