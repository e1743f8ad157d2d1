import pytest

from drawn_datasets import Reader
from pocketface.core.errors import PocketfaceError
from pocketface.datasets import Record


def test_a_row_says_split_and_labels_and_an_empty_cell_nothing(records: Reader) -> None:
    table = "path,split,age,mood\nb.jpg,test,31.5,\na.jpg,,,glad\n"
    assert [*records("mine", {"labels.csv": table.encode()}).values()] == [
        Record("a.jpg", {"mood": "glad"}),
        Record("b.jpg", {"age": 31.5}, "test"),
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("path,age\na.jpg,3\n", "has no column split"),
        ("", "has no column path, split"),
        ("path,split,age\na.jpg,tset,3\n", r"a\.jpg: no split 'tset'"),
        ("path,split,age\na.jpg,test,three\n", r"a\.jpg: .*'three'"),
        ("path,split,Male\na.jpg,test,yes\n", r"a\.jpg: .*'yes'"),
    ],
)
def test_a_list_that_was_made_by_hand_is_told_what_it_lacks(records: Reader, table: str, told: str) -> None:
    with pytest.raises(PocketfaceError, match=told):
        records("mine", {"labels.csv": table.encode()})
