import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from test_picture import BAD

import drawn_datasets as drawn
from pocketface.core.budget import PictureBudget
from pocketface.core.errors import PocketfaceError
from pocketface.cropping import build as building
from pocketface.cropping.build import build
from pocketface.cropping.crop import crop_picture
from pocketface.cropping.picture import decode
from pocketface.datasets import in_sample
from pocketface.faces.index import INDEX, OK, FaceSet
from pocketface.faces.settings import Crop, Dataset

HERE = Path(__file__).parent
AS_IS = Dataset(crop=Crop(policy="as_is", size=48, channels=1))
ONE = Dataset(crop=Crop(policy="one", size=40, margin=0.2))
FER2013 = 60


def contents(folder: Path) -> dict[str, str]:
    """Hashes of the files in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def shards(out: Path) -> list[Path]:
    """The finished shards of an unfinished run."""
    return [path for path in out.parent.glob(".shards/*/*/*.npz") if not path.name.startswith(".")]


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "SHARD", 4)


@pytest.fixture(scope="module")
def utkface(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """14 drawn faces, the five malformed names, a picture without a face, one with two, and two damaged."""
    people = drawn.people(3)
    name = "UTKFace/{}_0_0_20170109000000000.jpg.chip.jpg"
    members = drawn.utkface(14) | {
        name.format(101): drawn.jpeg(drawn.scene(width=160, height=120)),
        name.format(102): drawn.jpeg(drawn.scene(*people[:2])),
        name.format(103): drawn.jpeg(drawn.face(people[2]))[:2000],
        name.format(104): b"",
    }
    path = drawn.make_raw(tmp_path_factory.mktemp("utkface") / "files.zip", members)
    return path, members


@pytest.fixture(scope="module")
def fer2013(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.make_raw(tmp_path_factory.mktemp("fer2013") / "files.zip", drawn.fer2013(FER2013))


@pytest.fixture(scope="module")
def undisturbed(fer2013: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What becomes of `fer2013` if nothing goes wrong; one shard, so that their number cannot matter."""
    out = tmp_path_factory.mktemp("undisturbed") / "fer2013"
    build("fer2013", fer2013, AS_IS, out, workers=1)
    return contents(out)


@pytest.fixture(scope="module")
def by_one(utkface: tuple[Path, dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one worker makes of `utkface`."""
    out = tmp_path_factory.mktemp("faces") / "utkface"
    build("utkface", utkface[0], ONE, out, workers=1)
    assert not shards(out)
    return out


@pytest.fixture(scope="module")
def faces(by_one: Path) -> FaceSet:
    return FaceSet.load(by_one)


class TestOut:
    def test_every_picture_is_a_row_and_every_reject_has_its_reason(self, faces: FaceSet, utkface) -> None:
        assert faces.index["image"].tolist() == sorted(utkface[1])
        assert faces.index["status"].value_counts().to_dict() == {
            "ok": 14,
            "bad_name": 5,
            "no_face": 1,
            "many_faces": 1,
            "truncated": 1,
            "empty": 1,
        }

    def test_the_faces_are_those_of_their_rows(self, faces: FaceSet, utkface) -> None:
        rows = faces.rows()
        assert rows["face"].tolist() == list(range(14))
        assert faces.pixels.shape == (14, 40, 40, 3) and faces.pixels.dtype == np.uint8
        for image, i, box in zip(rows["image"], rows["face"], rows["box"], strict=True):
            face, expected = crop_picture(decode(utkface[1][image]), ONE.crop)
            np.testing.assert_array_equal(faces.pixels[i], face)
            assert tuple(box) == expected
        np.testing.assert_array_equal(faces.pixels[rows["face"]], faces.pixels)

    def test_a_rejected_row_has_neither_face_nor_box(self, faces: FaceSet) -> None:
        rejected = faces.index[faces.index["status"] != OK]
        assert rejected["face"].isna().all() and rejected["box"].isna().all()

    def test_the_hash_is_that_of_the_picture_and_missing_where_it_was_not_opened(
        self, faces: FaceSet, utkface
    ) -> None:
        for row in faces.index.itertuples():
            if row.status == "bad_name":
                assert pd.isna(row.source_sha)
            else:
                assert row.source_sha == hashlib.sha256(utkface[1][row.image]).hexdigest()

    def test_labels_have_their_types_and_missing_ones_their_column(self, faces: FaceSet) -> None:
        assert faces.labels == ["age", "gender", "race", "expression"]
        assert faces.index["expression"].isna().all()
        assert faces.index["age"].dtype == np.float64
        assert set(faces.rows()["gender"]) == {"male", "female"}
        assert faces.index.loc[faces.index["status"] == "bad_name", "age"].isna().all()
        assert set(faces.rows()["split"]) <= {"train", "val", "test"}
        assert faces.index.loc[faces.index["status"] == "bad_name", "split"].isna().all()

    def test_it_says_how_it_was_cropped(self, faces: FaceSet) -> None:
        assert faces.crop == ONE.crop and faces.dataset == "utkface"


def test_a_box_in_a_reduced_picture_is_in_the_files_own_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = "UTKFace/30_0_0_20170109000000000.jpg.chip.jpg"
    archive = drawn.make_raw(tmp_path / "files.zip", {image: drawn.jpeg(drawn.scene())})
    monkeypatch.setattr("pocketface.cropping.picture.DECODED_SIDE", 240)
    build("utkface", archive, AS_IS, tmp_path / "out", workers=1)
    index = FaceSet.load(tmp_path / "out").index
    assert [box.tolist() for box in index["box"]] == [[60, 0, 420, 360]], "its middle square"


def test_a_dataset_without_a_test_part_gets_one_of_its_validation_faces(tmp_path: Path) -> None:
    members = drawn.fer2013(70)
    splits = {}
    for name, missing in (("own", "none"), ("reserved", "PrivateTest"), ("content", "Test")):
        kept = {image: data for image, data in members.items() if missing not in image}
        archive = drawn.make_raw(tmp_path / name / "files.zip", kept)
        build("fer2013", archive, AS_IS, tmp_path / name / "out", 1)
        splits[name] = FaceSet.load(tmp_path / name / "out").index.set_index("image")["split"]
    own = splits["own"][splits["reserved"].index]
    moved = splits["reserved"] == "test"
    assert 0 < moved.sum() < (own == "val").sum() / 2
    assert set(own[moved]) == {"val"} and splits["reserved"][~moved].equals(own[~moved])
    assert set(splits["content"]) == {"train", "val", "test"}


def test_attributes_are_small_integers(tmp_path: Path) -> None:
    archive = drawn.make_raw(tmp_path / "files.zip", drawn.celeba(6))
    build("celeba", archive, AS_IS, tmp_path / "celeba", workers=1)
    index = FaceSet.load(tmp_path / "celeba").index
    assert index["Smiling"].dtype == pd.Int8Dtype()
    assert set(index["Smiling"]) <= {0, 1}
    assert index["age"].isna().all()


def test_a_label_may_have_any_name(tmp_path: Path) -> None:
    picture = drawn.jpeg(drawn.scene())
    labels = b"path,split,size,offset,crc\n1.jpg,train,large,near,7\n"
    archive = drawn.make_raw(tmp_path / "files.zip", {"1.jpg": picture, "labels.csv": labels})
    build("mine", archive, AS_IS, tmp_path / "out", workers=1)
    [row] = FaceSet.load(tmp_path / "out").rows().to_dict("records")
    assert (row["size"], row["offset"], row["crc"]) == ("large", "near", "7")


def test_a_sample_holds_just_the_pictures_of_its_fraction(fer2013: Path, tmp_path: Path) -> None:
    for name, sample in (("whole", 1.0), ("half", 0.5)):
        build("fer2013", fer2013, AS_IS.model_copy(update={"sample": sample}), tmp_path / name, workers=1)
    whole, half = (FaceSet.load(tmp_path / name).index for name in ("whole", "half"))
    expected = [image for image in whole["image"] if in_sample(image, 0.5)]
    assert half["image"].tolist() == expected
    assert 0 < len(expected) < len(whole)


def test_every_kind_of_bad_picture_is_a_row(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kinds = dict(enumerate(BAD.values()))
    names = {i: f"train/happy/Training_{i}.jpg" for i in kinds}
    members = {names[i]: data for i, (data, _) in kinds.items()}
    good = drawn.fer2013(7)
    archive = drawn.make_raw(tmp_path / "files.zip", members | good)
    build("fer2013", archive, AS_IS, tmp_path / "out", workers=1)
    index = FaceSet.load(tmp_path / "out").index.set_index("image")["status"]
    assert {i: index[name] for i, name in names.items()} == {i: reason for i, (_, reason) in kinds.items()}
    assert index[list(good)].tolist() == [OK] * 7
    assert "Traceback" not in capfd.readouterr().err


Cluster = tuple[str, list[subprocess.Popen[bytes]]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Dask scheduler and two slow worker processes on loopback: its address, and the workers."""
    where = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    serve = [*dask, "scheduler", "--port", "0"]
    work = [*dask, "worker", "--nthreads", "1", "--no-nanny", "--preload", "slow_worker"]
    there = ["--host", "127.0.0.1", "--scheduler-file", where, "--no-dashboard"]
    started = [
        subprocess.Popen(
            [*command, *there],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
            stderr=subprocess.DEVNULL,
        )
        for command in (serve, work, work)
    ]
    try:
        while not where.exists():
            time.sleep(0.05)
        yield json.loads(where.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


class TestBadInput:
    def test_no_face_in_any_picture(self, tmp_path: Path) -> None:
        wall = drawn.jpeg(drawn.scene(width=160, height=120))
        archive = drawn.make_raw(
            tmp_path / "files.zip", {f"{age}_0_0_1.jpg.chip.jpg": wall for age in range(2)}
        )
        with pytest.raises(PocketfaceError, match=r"no face was accepted in 2 pictures.*utkface\.crop"):
            build("utkface", archive, ONE, tmp_path / "out", workers=1)
        assert FaceSet.load(tmp_path / "out").index["status"].tolist() == ["no_face", "no_face"]

    def test_no_name_that_can_be_read(self, tmp_path: Path) -> None:
        archive = drawn.make_raw(tmp_path / "files.zip", {f"{i}.jpg": b"-" for i in range(3)})
        with pytest.raises(
            PocketfaceError, match=r"3 of them: bad_name, e\.g\. 0\.jpg; the names of utkface are AGE_"
        ):
            build("utkface", archive, ONE, tmp_path / "out", workers=1)
        assert FaceSet.load(tmp_path / "out").index["status"].tolist() == ["bad_name"] * 3

    def test_an_empty_sample(self, fer2013: Path, tmp_path: Path) -> None:
        with pytest.raises(PocketfaceError, match="take a larger `sample`"):
            build("fer2013", fer2013, AS_IS.model_copy(update={"sample": 1e-9}), tmp_path / "out")

    def test_no_archive(self, tmp_path: Path) -> None:
        with pytest.raises(PocketfaceError, match=r"files\.zip"):
            build("fer2013", tmp_path / "files.zip", AS_IS, tmp_path / "out")

    @pytest.mark.parametrize("scheduled", [False, True])
    def test_a_damaged_archive(
        self, scheduled: bool, request: pytest.FixtureRequest, fer2013: Path, tmp_path: Path
    ) -> None:
        data = bytearray(fer2013.read_bytes())
        middle = data.index(b"\xff\xd8", len(data) // 2)
        data[middle + 200] ^= 0xFF
        damaged = tmp_path / "files.zip"
        damaged.write_bytes(data)
        address = request.getfixturevalue("cluster")[0] if scheduled else None
        with pytest.raises(PocketfaceError, match=r"files\.zip.*CRC"):
            build("fer2013", damaged, AS_IS, tmp_path / "out", workers=1, scheduler=address)
        assert not (tmp_path / "out").exists()

    def test_nobody_at_the_schedulers_address(self, fer2013: Path, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(building, "CONNECT_SECONDS", 0.2)
        with pytest.raises(PocketfaceError, match="no Dask scheduler answers"):
            build("fer2013", fer2013, AS_IS, tmp_path / "out", scheduler="tcp://127.0.0.1:9")

    @pytest.mark.parametrize("limit", [20_000, 100_000])
    def test_no_room_for_a_shard_or_for_the_whole(
        self, limit: int, fer2013: Path, tmp_path: Path, undisturbed: dict[str, str]
    ) -> None:
        out = tmp_path / "fer2013"
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        try:
            with pytest.raises(PocketfaceError, match=r"too large.*run again"):
                build("fer2013", fer2013, AS_IS, out, workers=1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert not list(tmp_path.glob("fer2013")) and not list(tmp_path.glob(".*.partial"))
        build("fer2013", fer2013, AS_IS, out, workers=1)
        assert contents(out) == undisturbed


class TestParallel:
    def test_two_workers_write_what_one_writes(self, utkface, by_one: Path, tmp_path: Path) -> None:
        build("utkface", utkface[0], ONE, tmp_path / "utkface", workers=2)
        assert contents(tmp_path / "utkface") == contents(by_one)

    def test_packed_pictures_are_those_that_are_stored(self, utkface, faces: FaceSet, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "files.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in utkface[1].items():
                archive.writestr(name, data)
        build("utkface", tmp_path / "files.zip", ONE, tmp_path / "out", workers=1)
        pd.testing.assert_frame_equal(FaceSet.load(tmp_path / "out").index, faces.index)

    def test_parts_of_the_index_are_one_table(
        self, utkface, faces: FaceSet, tmp_path: Path, monkeypatch
    ) -> None:
        monkeypatch.setattr(building, "TOGETHER", 2)
        build("utkface", utkface[0], ONE, tmp_path / "utkface", workers=1)
        in_parts = FaceSet.load(tmp_path / "utkface")
        assert pq.read_metadata(tmp_path / "utkface" / INDEX).num_row_groups == 3
        pd.testing.assert_frame_equal(in_parts.index, faces.index)

    def test_a_scheduler_loses_one_of_two_workers(
        self, cluster: Cluster, fer2013: Path, tmp_path: Path, undisturbed: dict[str, str]
    ) -> None:
        out = tmp_path / "fer2013"
        address, workers = cluster
        left: list[int] = []

        def kill_half_way() -> None:
            while len(shards(out)) < 3:
                time.sleep(0.01)
            workers[0].kill()
            left.append(FER2013 // 4 - len(shards(out)))

        killer = threading.Thread(target=kill_half_way, daemon=True)
        killer.start()
        build("fer2013", fer2013, AS_IS, out, scheduler=address)
        killer.join(timeout=5)
        assert workers[0].wait(timeout=5) == -signal.SIGKILL
        assert workers[1].poll() is None
        assert left[0] > 3
        assert contents(out) == undisturbed


class TestKilled:
    def test_it_goes_on_where_it_was(
        self, fer2013: Path, tmp_path: Path, undisturbed: dict[str, str], monkeypatch
    ) -> None:
        out = tmp_path / "fer2013"
        for finished in (2, 6):
            process = start(fer2013, out)
            while len(shards(out)) < finished:
                time.sleep(0.005)
                assert process.poll() is None
            process.kill()
            process.wait()
            assert not out.exists()
        before = {path: path.stat().st_mtime_ns for path in shards(out)}
        assert 6 <= len(before) < FER2013 // 4
        for path, left in zip(shards(out), (b"", b"PK\x03\x04"), strict=False):  # as when power fails
            path.write_bytes(left)
            del before[path]

        cropped = []
        crop_one = building._crop_one
        monkeypatch.setattr(
            building, "_crop_one", lambda data, shard: cropped.append(data) or crop_one(data, shard)
        )
        build("fer2013", fer2013, AS_IS, out, workers=1)
        assert len(cropped) == FER2013 - 4 * len(before)
        assert contents(out) == undisturbed
        assert not shards(out)

    def test_it_does_not_go_on_from_other_pictures(
        self,
        fer2013: Path,
        tmp_path: Path,
        tmp_path_factory: pytest.TempPathFactory,
        undisturbed: dict[str, str],
    ) -> None:
        out = tmp_path / "fer2013"
        darker = drawn.make_raw(
            tmp_path_factory.mktemp("darker") / "files.zip",
            {
                name: drawn.jpeg(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) // 2)
                for name, data in drawn.fer2013(FER2013).items()
            },
        )
        process = start(darker, out)
        while len(shards(out)) < 3:
            time.sleep(0.005)
        process.kill()
        process.wait()
        build("fer2013", fer2013, AS_IS, out, workers=1)
        assert contents(out) == undisturbed
        assert list(tmp_path.iterdir()) == [out]

    @pytest.mark.slow
    @pytest.mark.parametrize("workers", [1, 2])
    def test_twenty_times_at_random(
        self, workers: int, fer2013: Path, tmp_path: Path, undisturbed: dict[str, str]
    ) -> None:
        moments = random.Random(workers)
        for _ in range(20):
            out = tmp_path / "fer2013"
            process = start(fer2013, out, workers)
            time.sleep(moments.uniform(0, 10))
            process.kill()
            process.wait()
            assert not out.exists() or contents(out) == undisturbed
            time.sleep(0.5)  # the workers of a killed process notice and leave
            build("fer2013", fer2013, AS_IS, out, workers=1)
            assert contents(out) == undisturbed
            building.remove(out)


def start(archive: Path, out: Path, workers: int = 1) -> subprocess.Popen[bytes]:
    """A slow run that can be killed."""
    script = [sys.executable, HERE / "interrupted.py"]
    return subprocess.Popen(
        [*script, archive, out, str(workers), AS_IS.model_dump_json()], stderr=subprocess.DEVNULL
    )


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = drawn.utkface(3)
    largest = max(members, key=lambda name: len(members[name]))
    monkeypatch.setattr(building, "PICTURE", PictureBudget(bytes=len(members[largest]) - 1))
    archive = drawn.make_raw(tmp_path / "files.zip", members)
    build("utkface", archive, Dataset(crop=Crop(detector="blazeface")), tmp_path / "out", workers=1)
    row = pd.read_parquet(tmp_path / "out/index.parquet").set_index("image").loc[largest]
    assert row["status"] == "too_large" and pd.isna(row["source_sha"])
