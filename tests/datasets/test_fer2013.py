import concurrent.futures
import multiprocessing
import zipfile
from pathlib import Path

import numpy as np
import pytest

from drawn_datasets import Reader, fer2013, fer2013_csv, make_raw
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import Rejected, decode
from pocketface.datasets import Record, open_picture, read

HEADER = b"emotion,pixels,Usage\n"
PIXELS = b" ".join(b"%d" % (i % 256) for i in range(48 * 48))


def opened(path: Path, image: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        return decode(open_picture("fer2013", archive, image))


class TestPictures:
    def test_folder_and_name_say_it_all(self, records: Reader) -> None:
        found = records("fer2013", fer2013(35))
        assert found["train/angry/Training_10000000.jpg"].labels == {"expression": "angry"}
        where = {image: record.split for image, record in found.items()}
        assert where["train/angry/Training_10000000.jpg"] == "train"
        assert where["test/angry/PublicTest_10000021.jpg"] == "val"
        assert where["test/angry/PrivateTest_10000028.jpg"] == "test"

    def test_a_folder_that_tells_nothing_is_rejected(self, records: Reader) -> None:
        extra = {"train/bored/Training_1.jpg": b"-", "faces/happy/holiday.jpg": b"-"}
        found = records("fer2013", fer2013() | extra)
        assert [found[image].problem for image in extra] == ["bad_label", "no_split"]

    def test_an_expression_without_any_picture_is_an_error_that_names_the_folders(
        self, records: Reader
    ) -> None:
        members = {name.replace("/angry/", "/Wut/"): data for name, data in fer2013().items()}
        with pytest.raises(
            PocketfaceError,
            match=r"files\.zip: no picture shows angry; its folders are Wut, disgust, .*rename the folders",
        ):
            records("fer2013", members)


class TestCsv:
    def test_it_says_the_same_as_the_pictures(self, records: Reader) -> None:
        def sorted_labels(members: dict[str, bytes]) -> list[tuple[str, object]]:
            return sorted((r.split, r.labels["expression"]) for r in records("fer2013", members).values())

        assert sorted_labels(fer2013_csv(35)) == sorted_labels(fer2013(35))

    def test_rows_hold_their_pixels(self, tmp_path: Path) -> None:
        rows = HEADER + b"3," + PIXELS + b",Training\r\n" + b"6," + b"9 " * 2303 + b"7,PrivateTest"
        path = make_raw(tmp_path / "files.zip", {"fer2013/README": b"-", "fer2013/fer2013.csv": rows})
        ramp = (np.arange(48 * 48) % 256).reshape(48, 48)
        assert np.array_equal(opened(path, "fer2013/fer2013.csv:00000")[..., 0], ramp)
        last = opened(path, "fer2013/fer2013.csv:00001")
        assert (last[0, 0, 0], last[-1, -1, 0]) == (9, 7)

    def test_columns_may_stand_in_another_order(self, records: Reader) -> None:
        rows = [b"%d,PublicTest," % emotion + PIXELS for emotion in range(7)]
        found = records("fer2013", {"fer2013.csv": b"\n".join([b"emotion, Usage, pixels", *rows])})
        assert found["fer2013.csv:00004"] == Record("fer2013.csv:00004", {"expression": "sad"}, "val")

    def test_other_columns_are_an_error(self, records: Reader) -> None:
        with pytest.raises(PocketfaceError, match=r"fer2013\.csv: its columns are a, b, not emotion"):
            records("fer2013", {"fer2013.csv": b"a,b\n1,2\n"})

    def test_bad_rows_are_rejected(self, records: Reader) -> None:
        rows = [b"7,0,Training", b"happy,0,Training", b"1,0,Exam", b"1,0", b"", b"0,0,Training"]
        rows += [b"%d,0,Training" % emotion for emotion in range(1, 7)]
        found = records("fer2013", {"fer2013.csv": HEADER + b"\n".join(rows)})
        problems = [record.problem for record in found.values()]
        assert problems == ["bad_label", "bad_label", "no_split", "no_label", "no_label", *[None] * 7]

    def test_an_expression_without_any_row_is_an_error(self, records: Reader) -> None:
        with pytest.raises(PocketfaceError, match=r"no picture shows disgust, .*; fer2013\.csv has angry"):
            records("fer2013", {"fer2013.csv": HEADER + b"0,0,Training\n"})

    @pytest.mark.parametrize(
        "pixels",
        [b"", b"1 2 3", PIXELS + b" 1", PIXELS.replace(b"17", b"256", 1), PIXELS.replace(b"9", b"x")],
    )
    def test_bad_pixels_are_no_picture(self, tmp_path: Path, pixels: bytes) -> None:
        path = make_raw(tmp_path / "files.zip", {"fer2013.csv": HEADER + b"0," + pixels + b",Training\n"})
        with pytest.raises(Rejected):
            opened(path, "fer2013.csv:00000")

    @pytest.mark.parametrize("image", ["fer2013.csv:00002", "elsewhere/fer2013.csv:00000"])
    def test_a_row_that_is_not_there(self, tmp_path: Path, image: str) -> None:
        path = make_raw(tmp_path / "files.zip", fer2013_csv(2))
        with pytest.raises(PocketfaceError, match=f"has no '{image}'"):
            opened(path, image)

    def test_a_file_that_was_replaced_is_read_anew(self, tmp_path: Path) -> None:
        path = make_raw(tmp_path / "files.zip", {"fer2013.csv": HEADER + b"0," + PIXELS + b",Training\n"})
        assert opened(path, "fer2013.csv:00000").shape == (48, 48, 3)
        make_raw(
            path, {"longer_name/fer2013.csv": HEADER, "fer2013.csv": HEADER + b"\n0," + PIXELS + b",Training"}
        )
        assert opened(path, "fer2013.csv:00001").shape == (48, 48, 3)

    def test_several_processes_read_it_at_once(self, tmp_path: Path) -> None:
        path = make_raw(tmp_path / "files.zip", fer2013_csv(30))
        images = [record.image for record in read("fer2013", path)]
        expected = [opened(path, image) for image in images]
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
            found = list(pool.map(opened, [path] * 30, images, chunksize=5))
        assert np.array_equal(found, expected)
