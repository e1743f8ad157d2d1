import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colour_variants import card, variant_folder
from pocketface.cards import CARD, MODEL_FILE, Meaning, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.core.labels import EXPRESSIONS, GENDERS
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.meaning import bound, opened, read, said
from pocketface.tflite.run import Runner

PUBLISHED = sorted((Path(__file__).parents[2] / "weights").glob("*/int8"))


@pytest.fixture
def folder(tmp_path, colour_model) -> Path:
    return variant_folder(tmp_path / "colour", colour_model)


def edit(folder: Path, change) -> None:
    """As a text editor does."""
    content = json.loads((folder / CARD).read_text())
    change(content)
    (folder / CARD).write_text(json.dumps(content))


def test_a_file_says_what_its_card_says(folder, colour_model) -> None:
    runner = opened(folder / MODEL_FILE, read_card(folder, VariantCard))
    assert said(read(runner)) == said(card())
    assert read(Runner(colour_model)) is None


def test_tensors_and_answers_stay_and_binding_again_changes_nothing(folder, colour_model) -> None:
    was, now = TFLiteFile.read(colour_model), TFLiteFile.read(folder / MODEL_FILE)
    assert len(now.content) - len(was.content) < 1500
    assert bound(now, card()) == now
    pairs = zip(was.model.subgraphs[0].tensors, now.model.subgraphs[0].tensors, strict=True)
    for one, other in pairs:
        data = [model.buffers[t.buffer].data for model, t in ((was.model, one), (now.model, other))]
        assert one.name == other.name
        assert np.array_equal(*data)
    noise = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), np.uint8)
    for head, answer in Runner(colour_model)(noise).items():
        np.testing.assert_array_equal(Runner(folder / MODEL_FILE)(noise)[head], answer)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c.update(sha256=None), "a variant with the status ok has"),
        (lambda c: c.pop("sha256"), "a variant with the status ok has"),
        (lambda c: c.update(size_bytes=None), "a variant with the status ok has"),
        (lambda c: c.update(sha256="0" * 64), "damaged, or not the file"),
        (lambda c: c["outputs"]["gender"]["labels"].reverse(), "says otherwise of its outputs"),
        (lambda c: c["outputs"]["gender"].update(labels=["male", "male"]), "no two are equal"),
        (lambda c: c["outputs"]["gender"].update(labels=["male"]), "two labels or more"),
        (lambda c: c["outputs"]["gender"].update(labels=["male", ""]), "outputs.gender.labels.1"),
        (lambda c: c["outputs"]["gender"].update(labels=["a", "b\nc"]), "no word of printable characters"),
        (lambda c: c["outputs"]["gender"].update(labels=["a", "\x1b[2K"]), "no word of printable characters"),
        (lambda c: c["outputs"]["gender"].update(labels=["a", "b\u202e"]), "no word of printable characters"),
        (lambda c: c["outputs"]["age"].update(unit="months"), "says otherwise of its outputs"),
        (lambda c: c["outputs"].pop("age"), "its card says"),
        (lambda c: c["outputs"].update({"a b": c["outputs"]["age"]}), "outputs"),
        (lambda c: c["crop"].update(margin=0.1), "says otherwise of its crop"),
        (lambda c: c["input"].update(shift=0.4), "says otherwise of its input"),
        (lambda c: c["input"].update(size=64), r"takes faces of \(48, 48, 3\)"),
        (
            lambda c: c.update(ports={"image": {"dtype": "INT8", "scale": 1.0, "zero_point": 0}}),
            "its image has",
        ),
        (lambda c: c.update(ports={"image": {"dtype": "INT8", "scale": 0.0}}), "ports.image.scale"),
        (lambda c: c.update(ports={"image": {"dtype": "INT8", "scale": 1e999}}), "Infinity is no number"),
    ],
)
def test_a_card_that_lies_is_refused(folder, change, complaint: str) -> None:
    edit(folder, change)
    with pytest.raises(PocketfaceError, match=complaint):
        opened(folder / MODEL_FILE, read_card(folder, VariantCard))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(EXPRESSIONS), st.permutations(GENDERS))
def test_no_other_order_of_labels_passes(folder, expressions, genders) -> None:
    outputs = {"expression": list(expressions), "gender": list(genders)}
    lying = read_card(folder, VariantCard).model_dump()
    for head, labels in outputs.items():
        lying["outputs"][head]["labels"] = labels
    told = VariantCard.model_validate(lying)
    if (tuple(expressions), tuple(genders)) == (EXPRESSIONS, GENDERS):
        assert opened(folder / MODEL_FILE, told)
    else:
        with pytest.raises(PocketfaceError, match="says otherwise of its outputs"):
            opened(folder / MODEL_FILE, told)


def test_a_file_without_meaning_is_not_believed_to_be_its_cards(folder, colour_model) -> None:
    shutil.copy(colour_model, folder / MODEL_FILE)
    edit(folder, lambda c: c.update(sha256=sha256(colour_model), size_bytes=colour_model.stat().st_size))
    with pytest.raises(PocketfaceError, match=r"does not say what it means, so card\.json cannot be checked"):
        opened(folder / MODEL_FILE, read_card(folder, VariantCard))


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"\xff", b"[" * 5000, b'{"crop": 1, "crop": 2}'])
def test_a_meaning_that_cannot_be_read(tmp_path, folder, monkeypatch, content: bytes) -> None:
    from pocketface.tflite import meaning

    monkeypatch.setattr(meaning, "said", lambda _: content)
    file = tmp_path / "lying.tflite"
    file.write_bytes(bound(TFLiteFile.read(folder / MODEL_FILE), card()).content)
    with pytest.raises(PocketfaceError, match=r"lying\.tflite: what it means"):
        read(Runner(file))


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda path: path.parent.name)
def test_published_files_say_what_their_cards_say(published: Path) -> None:
    told = read_card(published, VariantCard)
    assert opened(published / MODEL_FILE, told).outputs
    assert (published / MODEL_FILE).stat().st_size == told.size_bytes
    assert Meaning.model_fields.keys() <= told.model_dump().keys()
