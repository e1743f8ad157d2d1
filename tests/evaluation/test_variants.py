import pytest

from colour_variants import card, variant_folder
from pocketface.cards import CARD, MODEL_FILE
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.variants import open_variant, open_variants, second_to
from pocketface.faces.settings import Input


def test_a_folder_and_the_file_in_it_are_the_same_model(colour_model, tmp_path):
    folder = variant_folder(tmp_path / "colour", colour_model)
    for path in (folder, folder / MODEL_FILE):
        variant = open_variant(path)
        assert variant.name == "colour/float32"
        assert variant.input.margin == 0.1
        assert variant.crop.size == 60


def test_a_bare_file_is_understood_by_its_signature(colour_model):
    variant = open_variant(colour_model)
    assert (variant.input.size, variant.input.channels) == (48, 3)
    assert variant.outputs == card().outputs
    assert variant.unchecked


def test_a_file_that_left_its_card_still_says_what_it_means(colour_model, tmp_path):
    folder = variant_folder(tmp_path / "colour", colour_model)
    (folder / CARD).unlink()
    variant = open_variant(folder / MODEL_FILE)
    assert (variant.crop, variant.input, variant.outputs) == (card().crop, card().input, card().outputs)
    assert not variant.unchecked


def test_a_bare_file_with_other_outputs_needs_a_card(odd_model):
    with pytest.raises(
        PocketfaceError, match=r"no card\.json beside it says what its output 'beauty' \(1,\)"
    ):
        open_variant(odd_model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a TFLite file"),
        (b"\x1c\0\0\0TFL3", "not a runnable TFLite model"),
        (b"x" * 4000, "not a TFLite file"),
        ("half", "not a runnable TFLite model"),
    ],
)
def test_a_damaged_file(colour_model, tmp_path, content, message):
    file = tmp_path / "damaged.tflite"
    whole = colour_model.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(PocketfaceError, match=f"damaged.tflite: {message}"):
        open_variant(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "not the file that card.json describes"),
        ({"input": Input(size=64)}, r"takes faces of \(48, 48, 3\), its card says \(64, 64, 3\)"),
        ({"status": "failed", "reason": "no kernel"}, r"there is no such model \(failed: no kernel\)"),
    ],
)
def test_a_file_that_is_not_what_its_card_says(colour_model, tmp_path, changes, message):
    folder = variant_folder(tmp_path / "colour", colour_model, **changes)
    with pytest.raises(PocketfaceError, match=message):
        open_variant(folder)


def test_what_is_no_model_at_all(tmp_path):
    with pytest.raises(PocketfaceError, match=CARD):
        open_variant(tmp_path)
    with pytest.raises(PocketfaceError, match=r"none\.tflite: cannot be read"):
        open_variant(tmp_path / "none.tflite")


def test_of_two_models_with_the_same_answer_the_later_one_is_second(colour_model, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(colour_model.read_bytes())
    first, second = open_variants([colour_model, other])
    assert second_to([first, second]) == [set(), set(first.outputs)]
