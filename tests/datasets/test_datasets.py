import hashlib
import math
import os
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import drawn_datasets as drawn
from pocketface.core.errors import PocketfaceError
from pocketface.core.hashing import SPLITS, hashed_split, unit_hash
from pocketface.core.labels import CELEBA_ATTRIBUTES, CLASSES
from pocketface.cropping.picture import decode
from pocketface.datasets import (
    OLDEST,
    Record,
    expected_names,
    in_sample,
    labels,
    names,
    open_picture,
    places,
    read,
    read_at,
    read_pictures,
)
from pocketface.fetching.archives import Archive, pack

COUNT = 20
MAKERS = {name: getattr(drawn, name.removesuffix("_test")) for name in names()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("raw")
    return {name: drawn.make_raw(folder / name / "files.zip", MAKERS[name](COUNT)) for name in MAKERS}


def is_possible(column: str, value: float | int | str) -> bool:
    if column in CLASSES:
        return value in CLASSES[column]
    if column in CELEBA_ATTRIBUTES:
        return value in (0, 1)
    if column.startswith("age"):
        return isinstance(value, float) and 0 <= value <= OLDEST
    return column == "identity" and isinstance(value, str)


@pytest.mark.parametrize("name", MAKERS)
class TestEveryDataset:
    def test_its_records_keep_the_contract(self, name: str, archives: dict[str, Path]) -> None:
        records = list(read(name, archives[name]))
        images = [record.image for record in records]
        assert images == sorted(set(images))
        assert sum(record.problem is None for record in records) == COUNT
        for record in records:
            assert record.split in (*SPLITS, None)
            assert set(record.labels) <= set(labels(name))
            assert all(is_possible(column, value) for column, value in record.labels.items())
            assert (record.problem is None) == bool(record.labels)

    def test_its_labels_can_all_occur(self, name: str, archives: dict[str, Path]) -> None:
        occur = set().union(*(record.labels for record in read(name, archives[name])))
        # CelebA's identities stand in a list that most copies lack.
        assert occur == set(labels(name)) - ({"identity"} if name == "celeba" else set())

    def test_it_reads_the_names_that_it_says_it_does(self, name: str, tmp_path: Path) -> None:
        example = expected_names(name).partition("e.g. ")[2].split(",")[0]
        archive = drawn.make_raw(tmp_path / "files.zip", MAKERS[name](7) | {example: b"-"})
        [record] = [record for record in read(name, archive) if record.image == example]
        assert record.problem in (None, "no_label")
        assert len(expected_names(name)) < 160

    def test_its_pictures_open_and_tell_a_split(self, name: str, archives: dict[str, Path]) -> None:
        records = list(read(name, archives[name]))
        for record, (found, data) in zip(records, read_pictures(name, archives[name], records), strict=True):
            assert decode(data).std() > 10  # a face, not a wall
            content = hashlib.sha256(data).hexdigest()
            assert found == replace(record, split=record.split or hashed_split(content))

    def test_an_archive_without_its_pictures_is_an_error(self, name: str, tmp_path: Path) -> None:
        members = {n: c for n, c in MAKERS[name](3).items() if not n.endswith((".jpg", ".jpeg"))}
        lists = {n: c for n, c in members.items() if not n.endswith("fer2013.csv")}
        archive = drawn.make_raw(tmp_path / "files.zip", lists | {"LICENCE": b"-"})
        with pytest.raises(
            PocketfaceError,
            match=f"files.zip: holds no pictures of {name}, but .*LICENCE; .*fetch_data@{name}",
        ):
            list(read(name, archive))

    def test_it_reads_what_its_release_unpacks_to(self, name: str, tmp_path: Path) -> None:
        members = MAKERS[name](7)
        [entry] = drawn.make_mirror(tmp_path, {name: members}).values()
        release = [
            Archive(Path(file["mirror"]).name, tuple(tmp_path / (file["mirror"] + piece) for piece in pieces))
            for file in entry["files"]
            for pieces in [file.get("pieces", [""])]
        ]
        pack(release, tmp_path / "unpacked.zip")
        packed = drawn.make_raw(tmp_path / "packed.zip", members)
        assert list(read(name, tmp_path / "unpacked.zip")) == list(read(name, packed))

    def test_other_files_and_those_of_a_mac_are_passed_over(self, name: str, tmp_path: Path) -> None:
        members = MAKERS[name](7)
        before = list(read(name, drawn.make_raw(tmp_path / "before.zip", members)))
        first = before[0].image
        extra = {"notes.txt": b"-", f"__MACOSX/{first.rpartition('/')[0]}/._{Path(first).name}": b"-"}
        assert list(read(name, drawn.make_raw(tmp_path / "after.zip", members | extra))) == before


class TestRead:
    def test_an_unknown_dataset(self, tmp_path: Path) -> None:
        archive = drawn.make_raw(tmp_path / "files.zip", drawn.photos(2))
        with pytest.raises(PocketfaceError, match=r"no labels\.csv.* there are afad, appa_real"):
            list(read("imagenet", archive))

    @pytest.mark.parametrize("name", ["../errors", "__init__", ""])
    def test_a_name_is_no_way_to_other_modules(self, name: str) -> None:
        with pytest.raises(PocketfaceError, match="no dataset"):
            labels(name)

    def test_a_name_of_ones_own_has_its_own_labels(self) -> None:
        assert labels("os") == ()

    def test_a_missing_archive(self, tmp_path: Path) -> None:
        with pytest.raises(PocketfaceError, match=r"files\.zip.*dvc repro -f fetch_data@photos"):
            list(read("photos", tmp_path / "files.zip"))

    def test_a_damaged_archive(self, tmp_path: Path) -> None:
        path = drawn.make_raw(tmp_path / "files.zip", drawn.photos(2))
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(PocketfaceError, match=r"files\.zip: .*not a zip file.*fetch_data@photos"):
            list(read("photos", path))


class TestOpenPicture:
    def test_one_that_is_not_there(self, archives: dict[str, Path]) -> None:
        with (
            zipfile.ZipFile(archives["utkface"]) as archive,
            pytest.raises(PocketfaceError, match=r"has no 'UTKFace/x\.jpg'"),
        ):
            open_picture("utkface", archive, "UTKFace/x.jpg")

    def test_one_whose_bytes_changed_on_disk(self, tmp_path: Path) -> None:
        path = drawn.make_raw(tmp_path / "files.zip", drawn.photos(1))
        content = bytearray(path.read_bytes())
        content[500] ^= 1
        path.write_bytes(content)
        [record] = read("photos", path)
        with zipfile.ZipFile(path) as archive, pytest.raises(PocketfaceError, match="Bad CRC-32"):
            open_picture("photos", archive, record.image)


class TestHashes:
    def test_they_are_the_same_for_ever(self) -> None:
        assert unit_hash("a.jpg") == 0.7492545923036502
        assert [i for i in range(20) if hashed_split(f"{i}.jpg") != "train"] == [4, 12, 19]

    def test_shares(self) -> None:
        splits = Counter(hashed_split(f"{i}.jpg") for i in range(4000))
        assert math.isclose(splits["val"] / 4000, 0.10, abs_tol=0.02)
        assert math.isclose(splits["test"] / 4000, 0.05, abs_tol=0.01)
        assert set(splits) == {"train", "val", "test"}

    def test_a_larger_sample_holds_a_smaller_one(self) -> None:
        images = [f"{i}.jpg" for i in range(1000)]
        tenth, half = ({i for i in images if in_sample(i, share)} for share in (0.1, 0.5))
        assert tenth < half
        assert math.isclose(len(tenth), 100, abs_tol=30)
        assert all(in_sample(image, 1.0) for image in images)

    def test_the_sample_does_not_follow_the_split(self) -> None:
        images = [f"{i}.jpg" for i in range(2000)]
        val = [image for image in images if hashed_split(image) == "val"]
        assert math.isclose(sum(in_sample(image, 0.5) for image in val) / len(val), 0.5, abs_tol=0.1)


MIRRORED = {"utkface": (20_161, 5), "fer2013": (32_296, 0), "celeba": (6_500, 0), "photos": (18, 0)}


def test_what_is_stored_is_read_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "files.zip"
    files = {"one.jpg": b"1" * 300, "später/two.jpg": b"", "three.jpg": bytes(range(256))}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name)
            member.extra = b"\xfe\xca\x04\x00more"
            archive.writestr(member, data)
        archive.writestr("packed.jpg", b"0" * 300, zipfile.ZIP_DEFLATED)
    found = places(path)
    assert set(found) == set(files), "what is packed has no such place"
    with path.open("rb") as opened:
        for name in reversed(files):
            assert read_at("utkface", opened, name, found[name]) == files[name]
        for wrong in (found["one.jpg"]._replace(crc=1), found["one.jpg"]._replace(offset=10**9)):
            with pytest.raises(PocketfaceError, match=r"files\.zip: one\.jpg: bad CRC-32; make it again"):
                read_at("utkface", opened, "one.jpg", wrong)


@pytest.mark.skipif("POCKETFACE_MIRROR" not in os.environ, reason="POCKETFACE_MIRROR is not set")
@pytest.mark.parametrize("name", MIRRORED)
def test_the_real_release(name: str) -> None:
    """The archives that `fetch_data` made from the mirror, where it did."""
    archive = Path("data/raw") / name / "files.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not there; make it with `dvc repro fetch_data@{name}`")
    records: list[Record] = list(read(name, archive))
    assert (len(records), sum(record.problem is not None for record in records)) == MIRRORED[name]


def test_a_line_without_an_end_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        archive.writestr("labels.csv", "path,split,mask\n" + "x" * 2_000_000)
    with pytest.raises(PocketfaceError, match=r"labels\.csv: a line of more than 1,000,000 bytes"):
        list(read("mine", tmp_path / "files.zip"))
