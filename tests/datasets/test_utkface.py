from drawn_datasets import UTKFACE_BAD_NAMES, Reader, utkface


def test_the_name_says_age_gender_and_race(records: Reader) -> None:
    name = "UTKFace/26_1_3_20170104023102422.jpg.chip.jpg"
    assert records("utkface", {name: b"-"})[name].labels == {
        "age": 26.0,
        "gender": "female",
        "race": "indian",
    }


def test_the_five_malformed_names_of_upstream_are_rejected(records: Reader) -> None:
    found = records("utkface", utkface(4))
    bad = {image for image, record in found.items() if record.problem == "bad_name"}
    assert bad == {f"UTKFace/{name}" for name in UTKFACE_BAD_NAMES}


def test_the_pictures_in_the_wild_have_shorter_names(records: Reader) -> None:
    [record] = records("utkface", {"part1/1_0_0_20161219140623097.jpg": b"-"}).values()
    assert record.labels == {"age": 1.0, "gender": "male", "race": "white"}


def test_nobody_is_999_years_old(records: Reader) -> None:
    [record] = records("utkface", {"UTKFace/999_0_0_20170112213500903.jpg.chip.jpg": b"-"}).values()
    assert (record.problem, record.labels) == ("bad_label", {})
