from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import decode
from pocketface.evaluation.draw import BOX, described, draw, places, write

FACE = {"box": [20, 10, 80, 70], "age": 33.6, "gender": "female", "gender_probability": 0.984}


def test_a_face_in_words() -> None:
    assert described(FACE) == ["age 34", "gender female 98%"]
    assert described(FACE | {"age_error": 4.79}) == ["age 34 ± 5", "gender female 98%"]


def test_an_attribute_is_a_word_and_a_second_opinion_is_not_told_here() -> None:
    face = {"box": [0, 0, 9, 9], "No_Beard": "no", "No_Beard_probability": 0.9, "second_opinions": [{}]}
    assert described(face) == ["beard: yes 90%"]


def test_the_box_is_where_the_face_is_and_the_words_are_below() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    drawn = draw(picture, [FACE])
    assert not picture.any(), "the picture itself stays"
    assert tuple(drawn[10, 50]) == BOX == tuple(drawn[40, 20])
    assert tuple(drawn[40, 50]) == (0, 0, 0)
    assert drawn[200:].max() > 200
    assert set(map(tuple, drawn[:200].reshape(-1, 3))) == {(0, 0, 0), BOX}


@given(
    extent=st.tuples(st.integers(16, 400), st.integers(16, 400)),
    corners=st.lists(st.tuples(*[st.integers(-50, 400)] * 4), min_size=1, max_size=5),
)
def test_nothing_is_drawn_over_a_face(extent: tuple[int, int], corners: list[tuple[int, ...]]) -> None:
    boxes = [[a, b, a + 20 + c % 200, b + 20 + d % 200] for a, b, c, d in corners]
    drawn = draw(np.full((*extent, 3), 9, np.uint8), [FACE | {"box": box} for box in boxes])
    frames = np.zeros(drawn.shape[:2], np.uint8)
    for left, top, right, bottom in boxes:
        cv2.rectangle(frames, (left, top), (right, bottom), 255, 3)
    for left, top, right, bottom in boxes:
        rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
        inside = np.s_[: extent[0], : extent[1]]
        assert (drawn[inside][rows, columns][frames[inside][rows, columns] == 0] == 9).all()


def test_words_stay_in_the_picture() -> None:
    drawn = draw(np.full((20, 16, 3), 9, np.uint8), [FACE | {"box": [1, 1, 9, 9]}] * 3)
    assert tuple(drawn[0, 0]) == (9, 9, 9)
    bright = drawn.min(axis=2) > 150
    assert bright[20:].any()
    assert not bright[:, -1].any(), "cut off at the right edge"
    assert not bright[-1].any(), "cut off below"


def test_what_is_written_reads_back_in_its_colours(tmp_path: Path) -> None:
    drawn = draw(np.full((120, 160, 3), (200, 30, 10), np.uint8), [])
    write(tmp_path / "new/out.png", drawn)
    np.testing.assert_array_equal(decode((tmp_path / "new/out.png").read_bytes()), drawn)
    with pytest.raises(PocketfaceError, match=r"ends in \.png or \.jpg"):
        write(tmp_path / "out.xyz", drawn)


def test_several_pictures_need_a_folder(tmp_path: Path) -> None:
    files = [Path("a/1.jpg"), Path("b/1.png"), Path("2.jpg")]
    assert places(files, Path("out")) == [Path("out/1.png"), Path("out/1-2.png"), Path("out/2.png")]
    assert places([*files, Path("c/1-2.jpg")], Path("out"))[3:] == [Path("out/1-2-2.png")]
    assert places(files[:1], Path("new.jpg")) == [Path("new.jpg")]
    (tmp_path / "run.1").mkdir()
    assert places(files[:1], tmp_path / "run.1") == [tmp_path / "run.1/1.png"]
    with pytest.raises(PocketfaceError, match="there are 3 pictures; give a folder"):
        places(files, Path("new.jpg"))
