import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketface.cards import CARD, ModelCard, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output
from pocketface.faces.settings import Crop, Input

MODEL = ModelCard(
    model="small",
    architecture="compact",
    options={"widths": [8, 16]},
    dataset="utkface",
    licence="research only",
    crop=Crop(),
    input=Input(size=48),
    outputs={
        "age": Output(kind="number", unit="years"),
        "gender": Output(kind="classes", labels=("male", "female")),
    },
    parameters=10,
    trainable_parameters=8,
    macs=100,
    training={"learning_rate": 0.002},
)


def test_a_card_reads_back_and_keeps_the_order_of_labels(tmp_path: Path) -> None:
    write_card(tmp_path, MODEL)
    card = read_card(tmp_path, ModelCard)
    assert card == MODEL
    assert card.outputs["gender"].labels == ("male", "female")


def test_a_missing_card_and_one_of_another_kind_are_told(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match=r"card\.json: no such file"):
        read_card(tmp_path, VariantCard)
    (tmp_path / "file").touch()
    with pytest.raises(PocketfaceError, match=r"card\.json: no such file"):
        read_card(tmp_path / "file", VariantCard)
    write_card(tmp_path, MODEL)
    with pytest.raises(PocketfaceError, match="not a VariantCard"):
        read_card(tmp_path, VariantCard)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(PocketfaceError, match="not a ModelCard"):
        read_card(tmp_path, ModelCard)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PUBLISHED = Path(__file__).parents[1] / "weights/expression_compact/int8" / CARD
FIELDS = sorted(VariantCard.model_fields)


def texts(content: Any) -> list[str]:
    if isinstance(content, dict):
        return [text for pair in content.items() for part in pair for text in texts(part)]
    if isinstance(content, list | tuple):
        return [text for part in content for text in texts(part)]
    return [content] if isinstance(content, str) else []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(FIELDS), ANY, min_size=1, max_size=3))
def test_any_card_is_refused_in_a_sentence_or_printable(tmp_path: Path, changes: dict) -> None:
    (tmp_path / CARD).write_text(json.dumps(json.loads(PUBLISHED.read_text()) | changes))
    try:
        card = read_card(tmp_path, VariantCard)
    except PocketfaceError as error:
        assert str(error).startswith(f"{tmp_path / CARD}: ")
    else:
        assert all(text.isprintable() for text in texts(card.model_dump(mode="json")))


def test_reasons_and_other_text_are_one_line() -> None:
    hostile = {"status": "failed", "reason": "no\nage 3\x1b[2K", "training": {"a\r": ["\u202e"]}}
    card = VariantCard.model_validate(MODEL.model_dump() | {"level": "int8"} | hostile)
    assert card.reason == r"no\nage 3\x1b[2K"
    assert card.training == {r"a\r": [r"\u202e"]}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": "../x"}, "model"),
        ({"level": "int8\n"}, "level"),
        ({"outputs": {}}, "outputs"),
        ({"outputs": {"a b": {"kind": "number"}}}, "outputs.a b"),
        ({"outputs": {"a": {"kind": "number", "labels": ["x", "y"]}}}, "a number has no labels"),
        ({"npu": {"accelerator": "x", "file": "/etc/passwd"}}, "npu.file"),
        ({"npu": {"accelerator": "x", "file": "../x"}}, "npu.file"),
        ({"options": {"weights": "/etc/passwd"}}, "options.weights"),
        ({"options": {"weights": "a/../../b"}}, "options.weights"),
    ],
)
def test_names_and_paths_are_plain(tmp_path: Path, change: dict, complaint: str) -> None:
    (tmp_path / CARD).write_text(json.dumps(json.loads(PUBLISHED.read_text()) | change))
    with pytest.raises(PocketfaceError, match=rf"card\.json: not a VariantCard: .*{complaint}"):
        read_card(tmp_path, VariantCard)


def test_doubled_keys_and_deep_nesting_are_refused(tmp_path: Path) -> None:
    text = PUBLISHED.read_text()
    (tmp_path / CARD).write_text(text.replace('"level"', '"model"'))
    with pytest.raises(PocketfaceError, match="the key 'model' stands twice"):
        read_card(tmp_path, VariantCard)
    (tmp_path / CARD).write_text("[" * 5000)
    with pytest.raises(PocketfaceError, match="nested too deeply"):
        read_card(tmp_path, VariantCard)
