import pytest

import drawn_datasets as drawn
from drawn_datasets import Reader
from pocketface.core.errors import PocketfaceError

TRAIN = "fairface_label_train.csv"
HEADER = "file,age,gender,race,service_test"


def one(row: str) -> drawn.Members:
    return {"train/1.jpg": b"-", TRAIN: f"{HEADER}\r\n{row}\r\n".encode()}


@pytest.mark.parametrize(
    ("row", "labels", "problem"),
    [
        (
            "train/1.jpg,more than 70,Female,Latino_Hispanic,TRUE",
            {"age_band": "more than 70", "gender": "female", "race": "latino_hispanic"},
            None,
        ),
        (
            "train/1.jpg,0-2,Male,East Asian,FALSE",
            {"age_band": "0-2", "gender": "male", "race": "east asian"},
            None,
        ),
        ("train/1.jpg,20-29,,,TRUE", {"age_band": "20-29"}, None),
        ("train/1.jpg,,Male,,TRUE", {"gender": "male"}, None),
        ("train/1.jpg,,,,TRUE", {}, "no_label"),
        ("train/1.jpg", {}, "no_label"),
        ("train/2.jpg,20-29,Male,White,TRUE", {}, "no_label"),
        ("val/1.jpg,20-29,Male,White,TRUE", {}, "no_label"),
        ("train/1.jpg,20-30,Male,White,TRUE", {}, "bad_label"),
        ("train/1.jpg,20-29,Male,Asian,TRUE", {}, "bad_label"),
    ],
)
def test_a_row_says_band_gender_and_race(
    records: Reader, row: str, labels: dict[str, str], problem: str | None
) -> None:
    [record] = records("fairface", one(row)).values()
    assert (record.labels, record.problem) == (labels, problem)


@pytest.mark.parametrize(
    ("date", "band"),
    [("03-Sep", "3-9"), ("3-Sep", "3-9"), ("09-Mar", "3-9"), ("9-Mar", "3-9"), ("Oct-19", "10-19")],
)
def test_a_band_that_a_spreadsheet_took_for_a_date_is_read(records: Reader, date: str, band: str) -> None:
    [record] = records("fairface", one(f"train/1.jpg,{date},Male,White,TRUE")).values()
    assert record.labels["age_band"] == band


def test_train_is_split_by_content_and_validation_is_for_testing(records: Reader) -> None:
    found = records("fairface", drawn.fairface(10))
    assert [(image.partition("/")[0], record.split) for image, record in found.items()] == [
        *[("train", None)] * 8,
        *[("val", "test")] * 2,
    ]


def test_the_train_part_is_enough(records: Reader) -> None:
    members = {name: data for name, data in drawn.fairface(10).items() if "val" not in name}
    assert {record.problem for record in records("fairface", members).values()} == {None}


def test_pictures_without_a_list_are_an_error(records: Reader) -> None:
    with pytest.raises(PocketfaceError, match=r"has no fairface_label_train\.csv; fetch it again"):
        records("fairface", {"train/1.jpg": b"-"})
