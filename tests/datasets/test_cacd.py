import unicodedata

import pytest

from drawn_datasets import CACD_NAMES, Reader, cacd


def test_age_and_celebrity_stand_in_the_name(records: Reader) -> None:
    found = records("cacd", {"CACD2000/14_Aaron_Example_0001.jpg": b"-"})
    assert found["CACD2000/14_Aaron_Example_0001.jpg"].labels == {"age": 14.0, "identity": "Aaron_Example"}


def test_names_with_underscores_dots_dashes_and_accents(records: Reader) -> None:
    found = records("cacd", cacd(12))
    assert {record.labels["identity"] for record in found.values()} == set(CACD_NAMES)


def test_the_same_name_packed_on_another_system_is_the_same_person(records: Reader) -> None:
    forms = [unicodedata.normalize(form, "Zoë_Brandt") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    found = records("cacd", {f"CACD2000/{30 + i}_{name}_0001.jpg": b"-" for i, name in enumerate(forms)})
    assert {(r.labels["identity"], r.split) for r in found.values()} == {("Zoë_Brandt", "train")}


def test_a_celebrity_is_in_one_split_at_all_ages(records: Reader) -> None:
    names = [f"CACD2000/{age}_Person_{n}_0001.jpg" for n in "ABCDEFGHIJKLMNOP" for age in range(14, 62, 6)]
    splits: dict[object, set[str]] = {}
    for record in records("cacd", dict.fromkeys(names, b"-")).values():
        splits.setdefault(record.labels["identity"], set()).add(record.split)
    assert {"train", "val"} <= set.union(*splits.values())
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Aaron_Example_0001.jpg", "bad_name"),
        ("14__0001.jpg", "bad_name"),
        ("14_Aaron_Example.jpg", "bad_name"),
        ("500_Aaron_Example_0001.jpg", "bad_label"),
    ],
)
def test_other_names_are_rejected(records: Reader, name: str, problem: str) -> None:
    [record] = records("cacd", {f"CACD2000/{name}": b"-"}).values()
    assert record.problem == problem
