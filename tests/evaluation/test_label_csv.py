from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.label_csv import hint, read_labels


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


def test_fairface_is_read_as_it_is(tmp_path):
    table = read_labels(
        write(
            tmp_path,
            "file,age,gender,race,service_test\n"
            "val/1.jpg,3-9,Male,East Asian,False\n"
            "val/2.jpg,more than 70,Female,Black,True\n",
        )
    )
    assert table.to_dict("list") == {
        "path": ["val/1.jpg", "val/2.jpg"],
        "age_band": ["3-9", "more than 70"],
        "gender": ["male", "female"],
        "race": ["east asian", "black"],
        "service_test": ["False", "True"],
    }


def test_names_of_labels_in_any_case_and_further_columns_as_they_are(tmp_path):
    table = read_labels(write(tmp_path, ",Path,AGE,bald,Camera\n0,a.jpg,3,1,iPhone\n1,b.jpg,4,0,\n"))
    assert list(table) == ["path", "age", "Bald", "Camera"], "a column without a name is left out"
    assert table["Camera"].tolist() == ["iPhone", None]
    assert (hint("agee"), hint("glasses"), hint("camera")) == ("age", "Eyeglasses", None)


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_separators_are_recognised(tmp_path, separator):
    lines = [["path", "age", "race"], ['"a, b; c.jpg"', '"31,5"', "white"]]
    content = "\r\n".join(separator.join(line) for line in lines)
    assert read_labels(write(tmp_path, content)).to_dict("records") == [
        {"path": "a, b; c.jpg", "age": 31.5, "race": "white"}
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("path,age\n", "no pictures"),
        ("age,race\n3,x\n", "line 1: no column `path`, which names the pictures; there are age, race"),
        ("path,age,Age\na.jpg,3,3\n", "'age' is there twice"),
        ("path,camera,camera\na.jpg,3,3\n", "'camera' is there twice"),
        ("path,age\na.jpg,20-29\nb.jpg,31\n", "line 3, column age_band: '31' is none of"),
        ("path,age\na.jpg,31\nb.jpg,20-29\n", "line 3, column age: '20-29' is not an age"),
        ("path;age\na.jpg;b;3\n", "line 2: 3 cells under 2 columns; quote cells that contain ';'"),
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
