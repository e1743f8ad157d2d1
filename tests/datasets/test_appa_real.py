import pytest

from drawn_datasets import Reader, appa_real
from pocketface.core.errors import PocketfaceError

ROOT = "appa-real-release"
TRUTH = f"{ROOT}/gt_avg_train.csv"
FIRST = f"{ROOT}/train/000000.jpg"


def test_ages_and_split(records: Reader) -> None:
    found = records("appa_real", appa_real(5))
    assert found[f"{ROOT}/train/000002.jpg_face.jpg"].labels == {
        "age": 74.0,
        "age_real": 74.0,
        "age_apparent": 75.5,
    }
    assert [(image.split("/")[1], record.split) for image, record in found.items()] == [
        ("test", "test"),
        *[("train", "train")] * 3,
        ("valid", "val"),
    ]


def test_the_crop_is_the_record_and_the_full_picture_where_there_is_none(records: Reader) -> None:
    members = appa_real(2)
    del members[f"{FIRST}_face.jpg"]
    assert list(records("appa_real", members)) == [FIRST, f"{ROOT}/train/000001.jpg_face.jpg"]


def test_a_picture_that_is_not_listed_is_rejected(records: Reader) -> None:
    extra = {f"{ROOT}/train/009999.jpg_face.jpg": b"-", f"{ROOT}/faces/009998.jpg": b"-"}
    found = records("appa_real", appa_real(1) | extra)
    assert [record.problem for record in found.values()] == ["no_label", None, "no_label"]


def test_in_a_folder_of_another_name_the_csv_tells_the_split(records: Reader) -> None:
    members = {name.replace("/valid/", "/faces/"): data for name, data in appa_real(5).items()}
    found = records("appa_real", members)
    assert found[f"{ROOT}/faces/000003.jpg_face.jpg"].split == "val"
    assert {record.problem for record in found.values()} == {None}


@pytest.mark.parametrize(
    ("row", "labels", "problem"),
    [
        ("000000.jpg,38,,4.25,30", {"age": 30.0, "age_real": 30.0}, None),
        ("000000.jpg,38,31.5,4.25,", {"age_apparent": 31.5}, None),
        ("000000.jpg,38,31.5", {"age_apparent": 31.5}, None),
        ("000000.jpg,,,,", {}, "no_label"),
        ("000000.jpg,38,31.5,4.25,-1", {}, "bad_label"),
        ("000000.jpg,38,31.5,4.25,nan", {}, "bad_label"),
        ("000000.jpg,38,31.5,4.25,thirty", {}, "bad_label"),
    ],
)
def test_missing_ages_are_left_out_and_impossible_ones_rejected(
    records: Reader, row: str, labels: dict[str, float], problem: str | None
) -> None:
    members = appa_real(1)
    header = members[TRUTH].decode().splitlines()[0]
    members[TRUTH] = f"{header}\n{row}\n".encode()
    [record] = records("appa_real", members).values()
    assert (record.labels, record.problem) == (labels, problem)


def test_a_missing_csv_is_an_error(records: Reader) -> None:
    members = appa_real(1)
    del members[f"{ROOT}/gt_avg_valid.csv"]
    with pytest.raises(PocketfaceError, match=r"has no gt_avg_valid\.csv or gt_valid\.csv"):
        records("appa_real", members)
