import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import drawn_datasets as drawn
from colour_variants import png
from pocketface.core.errors import PocketfaceError
from pocketface.cropping.detect import detect
from pocketface.cropping.picture import SIGNATURES
from pocketface.evaluation import predict
from pocketface.evaluation.predict import files_in, skipped
from pocketface.evaluation.variants import open_variant

JPEG = drawn.jpeg(drawn.scene(width=32, height=32))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures and other files; those whose name has an x are no pictures."""
    for name, content in {
        "a.jpg": JPEG,
        "b.JFIF": JPEG,
        "c.heic": b"",
        "d": JPEG,
        "e.dat": JPEG,
        "f/g.avif": b"not a picture",
        "f/h.dng": b"II*\0" + bytes(9),
        "x.mov": b"\0\0\0\x14ftypqt  ",
        "x.txt": b"BMW",
        "f/x.txt": b"",
        "x": b"text",
        ".hidden.jpg": JPEG,
        ".thumbs/i.jpg": JPEG,
        "f/.DS_Store": b"",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def names(files: list[Path], folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in files]


def test_pictures_of_a_folder_are_those_by_content_or_name(folder):
    pictures, others = files_in([folder, folder])
    assert names(pictures, folder) == [
        "a.jpg",
        "b.JFIF",
        "c.heic",
        "d",
        "e.dat",
        "f/g.avif",
        "f/h.dng",
    ]
    assert names(others, folder) == ["f/x.txt", "x", "x.mov", "x.txt"]


def test_a_file_that_is_named_is_tried_whatever_it_is(folder):
    assert files_in([folder / "x.txt", folder / "x.txt"]) == ([folder / "x.txt"], [])
    pictures, others = files_in([folder / "f", folder / "f/x.txt"])
    assert (names(pictures, folder), others) == (["f/g.avif", "f/h.dng", "f/x.txt"], [])


def test_a_folder_is_walked_once_and_each_file_opened_once(folder, monkeypatch):
    walked, opened = [], []
    below, sniffed = predict._files_below, predict._is_picture
    monkeypatch.setattr(predict, "_files_below", lambda path: walked.append(path) or below(path))
    monkeypatch.setattr(predict, "_is_picture", lambda file: opened.append(file) or sniffed(file))
    files_in([folder])
    assert walked == [folder]
    assert len(opened) == len(set(opened)) == 11


def test_every_ending_that_pillow_knows_of_a_format_is_taken(tmp_path):
    Image.init()
    read = [ending for ending, kind in Image.registered_extensions().items() if kind in SIGNATURES]
    assert ".jfif" in read
    for ending in read:
        (tmp_path / f"picture{ending}").write_bytes(b"damaged")
    assert files_in([tmp_path])[1] == []


def test_a_line_counts_what_was_not_read_by_ending_and_reason(folder):
    rows = [{"path": f"{i}.heic", "status": "needs_heif"} for i in range(3)]
    rows += [{"path": "a.jpg", "status": "ok"}, {"path": "b.jpg", "status": "no_face"}]
    line = skipped(rows, files_in([folder])[1])
    assert line.startswith("skipped 7 files: 3 .heic (")
    assert "`pip install 'pocketface[heif]'`" in line
    assert "2 .txt (not a picture" in line
    assert "1 .mov (not a picture" in line
    assert "1 without an ending (not a picture" in line
    assert skipped(rows[3:], []) == ""
    assert skipped(rows[:1], []).startswith("skipped 1 file: 1 .heic")


def test_a_folder_without_pictures_says_what_is_there(tmp_path):
    with pytest.raises(PocketfaceError, match=r"no pictures in .*: no files there"):
        files_in([tmp_path])
    (tmp_path / "a.mov").write_bytes(b"")
    with pytest.raises(PocketfaceError, match=r"skipped 1 file: 1 \.mov"):
        files_in([tmp_path])


def test_the_finder_that_is_named_finds_the_faces(colour_model, tmp_path):
    picture = drawn.scene(drawn.people(1)[0])
    (tmp_path / "a.png").write_bytes(png(picture))
    for finder, asked in (("hog", {"detector": "hog"}), ("blazeface", {})):
        (row,) = predict.predict([open_variant(colour_model)], [tmp_path / "a.png"], **asked)
        expected = [list(face.box) for face in detect(picture, finder, upsample=1)]
        assert [face["box"] for face in row["faces"]] == expected != []


def test_an_age_has_the_error_of_its_band(colour_model, tmp_path):
    (tmp_path / "a.png").write_bytes(png(drawn.scene(drawn.people(1)[0])))
    plain = open_variant(colour_model)
    (before,) = predict.predict([plain], [tmp_path / "a.png"])
    age = before["faces"][0]["age"]
    bands = [(0, 1.0), (int(age), 2.0), (int(age) + 1, 3.0)]
    measured = replace(plain, age_errors=bands)
    (row,) = predict.predict([measured, measured], [tmp_path / "a.png"])
    (face,) = row["faces"]
    assert "age_error" not in before["faces"][0]
    assert face["age_error"] == 2.0 == face["second_opinions"][0]["age_error"]


def test_what_starts_slowly_is_not_imported():
    code = (
        "import sys, pocketface.evaluation.predict; print({'pandas', 'scipy', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
