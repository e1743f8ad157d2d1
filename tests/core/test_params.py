from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pocketface.core.errors import PocketfaceError
from pocketface.core.params import explained, parse, part, read

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000))


@given(PLAIN)
def test_what_is_plain_is_read_as_yaml_reads_it(content) -> None:
    assert parse(yaml.safe_dump(content)) == content


@given(st.text() | st.text("{}[]:&*!<-|>?,#\"' \nab1."))
@example("!!bool x")
@example("!!int x")
@example("!!timestamp x")
@example("2024-99-99")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert str(error)


def test_merged_keys_may_be_overridden_and_aliases_shared() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\nd: *a\n"
    b, c = {"x": 3, "y": 2}, {"x": 3, "y": 4}
    assert parse(text) == {"a": {"x": 1, "y": 2}, "b": b, "c": c, "d": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice"),
        ("m: {x: 1, 'x': 2}", "the key 'x' stands twice"),
        ("1: x\n0x1: y\n", "the key 1 stands twice"),
        ("[{a: {b: 1, c: 2, b: 3}}]", "the key 'b' stands twice"),
        ("? [a]\n: 1\n", "a key is a list or a mapping"),
        ("a: " + "9" * 5000, "Exceeds the limit"),
        ("? " + "9" * 5000 + "\n: a", "Exceeds the limit"),
        ("[" * 3000 + "]" * 3000, "nested"),
        ("- " * 3000 + "x", "nested"),
        ("[" * 100 + "]" * 100, "nested deeper than 50"),
        (LAUGHS, "larger than 50,000"),
        ("[" + "a," * 60_000 + "]", "larger than 50,000"),
        (CHAIN, "nested"),
        ("&a [*a]", "contains itself"),
        ("a: &a {b: [1, {c: *a}]}", "contains itself"),
        ("!!python/object/apply:os.system [ls]", "no kind of value"),
        ("a: !!bool x", "no kind of value"),
        ("a: !!set {x, y}", "no kind of value"),
        ("a: 2024-99-99", "month must be"),
        ("a: [", "expected"),
        ("a: 1\n--- \nb: 2", "single document"),
        ("a: \x07", "special characters"),
    ],
    ids=range(22),
)
def test_what_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(PocketfaceError, match=rf"params\.yaml: not valid YAML: (?s:.*){complaint}"):
        read(path)


@pytest.mark.parametrize(
    "content", ["a: \u00e9".encode("latin-1"), "a: \u00e9".encode("utf-16"), b"\x89PNG\xff"], ids=range(3)
)
def test_another_encoding(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(PocketfaceError, match="not UTF-8"):
        read(tmp_path / "params.yaml")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match="not a regular file"):
        read(tmp_path)
    with pytest.raises(PocketfaceError, match="not a regular file"):
        read(Path("/dev/zero"))
    with pytest.raises(PocketfaceError, match="no such file; `pocketface study use starter`"):
        read(tmp_path / "params.yaml")
    with pytest.raises(PocketfaceError, match="no such file; look elsewhere"):
        read(tmp_path / "params.yaml", "look elsewhere")


def test_a_part_is_named_by_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: {b: [1, x]}")
    with pytest.raises(PocketfaceError, match=r"params\.yaml: a\.b\.1: Input should be a valid integer"):
        part(list[int], "a", "b", path=path)
    with pytest.raises(PocketfaceError, match="no 'c' under `a`; there are b"):
        part(int, "a", "c", path=path)


def test_a_key_does_not_print_a_line_of_its_own() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"a\nerror: \x1b[2K": "x"})
    assert explained(caught.value).startswith(r"a\nerror: \x1b[2K: Input should be")
