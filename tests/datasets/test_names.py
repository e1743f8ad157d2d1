"""Datasets whose labels stand in the paths of their pictures."""

import unicodedata

import pytest

from drawn_datasets import CACD_NAMES, UTKFACE_BAD_NAMES, Reader, afad, cacd, photos


@pytest.mark.parametrize(
    ("dataset", "image", "labels"),
    [
        ("afad", "AFAD-Full/15/111/6386-1.jpg", {"age": 15.0, "gender": "male", "identity": "6386"}),
        ("afad", "AFAD-Full/40/112/1-0.jpg", {"age": 40.0, "gender": "female", "identity": "1"}),
        ("cacd", "CACD2000/14_Aaron_Example_0001.jpg", {"age": 14.0, "identity": "Aaron_Example"}),
        (
            "photos",
            "photos/elderly_woman_happy_3.jpeg",
            {"age_group": "elderly", "gender": "female", "expression": "happy"},
        ),
        (
            "starter",
            "starter/00017_single_34_female_happy.jpg",
            {"age": 34.0, "gender": "female", "expression": "happy"},
        ),
        (
            "starter",
            "starter/00001_cut_7_male_sad.jpg",
            {"age": 7.0, "gender": "male", "expression": "sad"},
        ),
        ("starter", "starter/00001_none.jpg", {}),  # for the crop policy to judge
        ("starter", "starter/00001_two.jpg", {}),
        (
            "utkface",
            "UTKFace/26_1_3_20170104023102422.jpg.chip.jpg",
            {"age": 26.0, "gender": "female", "race": "indian"},
        ),
        (
            "utkface",
            "part1/1_0_0_20161219140623097.jpg",
            {"age": 1.0, "gender": "male", "race": "white"},
        ),
    ],
)
def test_a_path_says_the_labels(records: Reader, dataset: str, image: str, labels: dict) -> None:
    record = records(dataset, {image: b"-"})[image]
    assert (record.labels, record.problem) == (labels, None)


@pytest.mark.parametrize(
    ("dataset", "image", "problem"),
    [
        ("afad", "AFAD-Full/15/113/638660-1.jpg", "bad_label"),
        ("afad", "AFAD-Full/150/111/638660-1.jpg", "bad_label"),
        ("afad", "AFAD-Full/young/111/638660-1.jpg", "bad_name"),
        ("afad", "638660-1.jpg", "bad_name"),
        ("afad", "AFAD-Full/15/111/638660-1.gif.jpg/x.jpg", "bad_name"),
        ("cacd", "CACD2000/Aaron_Example_0001.jpg", "bad_name"),
        ("cacd", "CACD2000/14__0001.jpg", "bad_name"),
        ("cacd", "CACD2000/14_Aaron_Example.jpg", "bad_name"),
        ("cacd", "CACD2000/500_Aaron_Example_0001.jpg", "bad_label"),
        ("photos", "photos/young_man_angry_1.jpg", "bad_name"),
        ("photos", "photos/adult_man_sad_1.jpg", "bad_name"),
        ("photos", "photos/young_man_sad.jpg", "bad_name"),
        ("photos", "photos/DSC_1.jpg", "bad_name"),
        ("starter", "starter/00001.jpg", "bad_name"),
        ("starter", "starter/00001_single.jpg", "bad_name"),
        ("starter", "starter/00001_single_34_she_happy.jpg", "bad_name"),
        ("utkface", "UTKFace/999_0_0_20170112213500903.jpg.chip.jpg", "bad_label"),
        *(("utkface", f"UTKFace/{name}", "bad_name") for name in UTKFACE_BAD_NAMES),
    ],
)
def test_other_names_are_rejected(records: Reader, dataset: str, image: str, problem: str) -> None:
    record = records(dataset, {image: b"-"})[image]
    assert (record.problem, record.labels) == (problem, {})


@pytest.mark.parametrize("dataset", ["afad", "cacd"])
def test_a_person_is_in_one_split_at_all_ages(records: Reader, dataset: str) -> None:
    path = {"afad": "AFAD-Full/{age}/111/{who}-{age}.jpg", "cacd": "CACD2000/{age}_{who}_0001.jpg"}[dataset]
    splits: dict[object, set[str | None]] = {}
    images = [path.format(age=age, who=f"Person{n}") for n in range(40) for age in (20, 21, 40)]
    for record in records(dataset, dict.fromkeys(images, b"-")).values():
        splits.setdefault(record.labels["identity"], set()).add(record.split)
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    assert {"train", "val"} <= set.union(*splits.values())


def test_thumbs_db_and_lists_are_passed_over(records: Reader) -> None:
    members = afad(4)
    assert any(name.endswith("Thumbs.db") for name in members)
    assert all(image.endswith(".jpg") for image in records("afad", members))


def test_names_with_underscores_dots_dashes_and_accents(records: Reader) -> None:
    found = records("cacd", cacd(12))
    assert {record.labels["identity"] for record in found.values()} == set(CACD_NAMES)


def test_the_same_name_packed_on_another_system_is_the_same_person(records: Reader) -> None:
    forms = [unicodedata.normalize(form, "Zoë_Brandt") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    found = records("cacd", {f"CACD2000/{30 + i}_{name}_0001.jpg": b"-" for i, name in enumerate(forms)})
    assert {(r.labels["identity"], r.split) for r in found.values()} == {("Zoë_Brandt", "train")}


def test_all_photographs_are_held_out(records: Reader) -> None:
    found = records("photos", photos(8) | {"photos/DSC_1.jpg": b"-"})
    assert {record.split for record in found.values()} == {"test"}
    assert {image.rpartition(".")[2] for image in found} == {"jpg", "jpeg"}
