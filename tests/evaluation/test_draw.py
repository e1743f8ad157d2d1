from pathlib import Path

import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import decode
from pocketface.evaluation.draw import BOX, PAPER, described, draw, places, write

FACE = {"box": [20, 10, 80, 70], "age": 33.6, "gender": "female", "gender_probability": 0.984}


def test_a_face_in_words() -> None:
    assert described(FACE) == ["age 34", "gender female 98%"]


def test_the_box_is_where_the_face_is_and_the_words_are_below() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    drawn = draw(picture, [FACE])
    assert not picture.any(), "the picture itself stays"
    assert tuple(drawn[10, 50]) == BOX == tuple(drawn[40, 20])
    assert tuple(drawn[40, 50]) == (0, 0, 0)
    assert tuple(drawn[72, 21]) == PAPER
    rows, columns = np.nonzero(drawn.min(axis=2) > 150)
    assert rows.min() > 70
    assert columns.min() >= 20


@pytest.mark.parametrize("box", [[280, 150, 310, 210], [-20, -20, 30, 30], [0, 0, 300, 200]])
def test_words_stay_in_the_picture(box: list[int]) -> None:
    drawn = draw(np.zeros((200, 300, 3), np.uint8), [FACE | {"box": box}])
    inside = drawn.min(axis=2) > 150
    assert inside.any()
    assert not inside[:, -1].any(), "cut off at the right edge"
    assert not inside[-1].any(), "cut off below"


def test_what_is_written_reads_back_in_its_colours(tmp_path: Path) -> None:
    drawn = draw(np.full((120, 160, 3), (200, 30, 10), np.uint8), [])
    write(tmp_path / "new/out.png", drawn)
    np.testing.assert_array_equal(decode((tmp_path / "new/out.png").read_bytes()), drawn)
    with pytest.raises(PocketfaceError, match=r"ends in \.png or \.jpg"):
        write(tmp_path / "out.xyz", drawn)


def test_several_pictures_need_a_folder() -> None:
    files = [Path("a/1.jpg"), Path("b/1.png"), Path("2.jpg")]
    assert places(files, Path("out")) == [Path("out/1.png"), Path("out/1-2.png"), Path("out/2.png")]
    assert places(files[:1], Path("new.jpg")) == [Path("new.jpg")]
    with pytest.raises(PocketfaceError, match="there are 3 pictures; give a folder"):
        places(files, Path("new.jpg"))
