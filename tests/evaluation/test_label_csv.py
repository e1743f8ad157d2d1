from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.errors import PocketfaceError
from pocketface.evaluation.label_csv import read_labels


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_kind_of_label(tmp_path):
    table = read_labels(
        write(
            tmp_path,
            "path,age,age_group,age_band,gender,race,expression,Bald,Male\n"
            "a.jpg,31.5,young,30-39,male,white,happy,1,-1\n"
            '"b, c.jpg",,Elderly,More than 70, FEMALE,Indian,,,1\n',
        )
    )
    first, second = table.to_dict("records")
    assert first == {
        **{"path": "a.jpg", "age": 31.5, "age_group": "young", "age_band": "30-39", "gender": "male"},
        **{"race": "white", "expression": "happy", "Bald": 1, "Male": 0},
    }
    assert second["path"] == "b, c.jpg"
    assert second["age_group"] == "elderly"
    assert second["age_band"] == "more than 70"
    assert second["gender"] == "female"
    assert second["race"] == "indian"
    assert pd.isna(second["age"])
    assert pd.isna(second["expression"])
    assert pd.isna(second["Bald"])


def test_a_spreadsheet_s_byte_order_mark_line_ends_and_blank_lines(tmp_path):
    table = read_labels(write(tmp_path, b"\xef\xbb\xbfpath,age\r\na.jpg,3\r\n\r\n,\r\n"))
    assert table.to_dict("records") == [{"path": "a.jpg", "age": 3.0}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("path,age\n", "no pictures"),
        ("age\n3\n", "line 1: no column `path`"),
        ("path,Age\na.jpg,3\n", "line 1: unknown column 'Age'; did you mean 'age'?"),
        ("path,bald\na.jpg,1\n", "did you mean 'Bald'?"),
        ("path,shoe size\na.jpg,3\n", "unknown column 'shoe size'; there are path, age, gender"),
        ("path,,age\na.jpg,,3\n", "unknown column ''"),
        ("path,age,age\na.jpg,3,3\n", "'age' is there twice"),
        ("path,age\na.jpg,3\nb.jpg,old\n", "line 3, column age: 'old' is not an age"),
        ("path,age\na.jpg,-1\n", "'-1' is not an age"),
        ("path,age\na.jpg,nan\n", "'nan' is not an age"),
        ("path,age\na.jpg,121\n", "0 to 120"),
        ("path,gender\na.jpg,woman\n", "line 2, column gender: 'woman' is none of male, female"),
        ("path,age_band\na.jpg,20-30\n", "column age_band: '20-30' is none of"),
        ("path,expression\na.jpg,joy\n", "column expression"),
        ("path,Bald\na.jpg,yes\n", "column Bald: 'yes' is neither 0 nor 1"),
        ("path,age\n,3\n", "line 2, column path"),
        ("path,age\na.jpg\n", "line 2: 1 cells under 2 columns"),
        ("path,age\na.jpg,3,4\n", "line 2: 3 cells under 2 columns"),
        ("path,age\na.jpg,3\na.jpg,4\n", "line 3: a.jpg is already in line 2"),
        (b"path,age\n\xff\xfe.jpg,3\n", "not UTF-8"),
        ('path,age\n"a.jpg,3\n', "not csv"),
    ],
)
def test_what_is_not_understood_is_named_with_its_place(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(PocketfaceError) as raised:
        read_labels(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(PocketfaceError, match=r"none\.csv: cannot be read"):
        read_labels(tmp_path / "none.csv")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(tmp_path_factory, garbage):
    path = write(tmp_path_factory.mktemp("labels"), b"path,age\n" + garbage)
    try:
        assert len(read_labels(path)) > 0
    except PocketfaceError as error:
        assert str(path) in str(error)
