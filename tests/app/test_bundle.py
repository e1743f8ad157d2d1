import json

import pytest

from fake_outs import FAILED, LEVELS, REASON, STUDY, model_card, write_outs
from pocketface.app import INDEX, bundle
from pocketface.cards import MODEL_FILE, Port, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.faces.settings import Crop
from pocketface.study import Study
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.meaning import bound
from private_files import names_in, plant, strangers


def model_of(card: VariantCard) -> bytes:
    """A file with the input and outputs of a card."""
    import tensorflow as tf

    side, channels = card.input.size, card.input.channels

    class Mean(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, side, side, channels), tf.float32, name="image")])
        def serve(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
            mean = tf.reduce_mean(image, [1, 2, 3])[None]
            return {head: tf.tile(mean, [1, max(len(o.labels), 1)]) for head, o in card.outputs.items()}

    model = Mean()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([model.serve.get_concrete_function()], model)
    return converter.convert()


@pytest.fixture(scope="module")
def models() -> dict[str, bytes]:
    """The fake study's models, real ones, before they say what they mean."""
    study = Study.model_validate(STUDY)
    return {name: model_of(model_card(study, name)) for name in study.models}


@pytest.fixture
def made(tmp_path, models):
    """The fake study's variants, and a file that stands for the detector."""
    outs = write_outs(tmp_path)
    for path in tmp_path.glob(f"variants/*/*/{MODEL_FILE}"):
        card = read_card(path.parent, VariantCard)
        path.write_bytes(bound(TFLiteFile(models[card.model]), card).content)
        changed(path.parent, sha256=sha256(path))
    detector = tmp_path / "detector.tflite"
    detector.write_bytes(b"a detector")
    return [
        tmp_path / "variants" / model / level for model in outs.study.models for level in LEVELS
    ], detector


def changed(folder, **changes):
    card = read_card(folder, VariantCard).model_dump() | changes
    write_card(folder, VariantCard.model_validate(card))


def rows(folder) -> dict[str, dict]:
    index = json.loads((folder / INDEX).read_text())
    return {f"{row['model']}/{row['level']}": row for row in index["variants"]}


def test_the_bundle_holds_the_pipelines_own_files(made, tmp_path):
    variants, detector = made
    out = tmp_path / "out"
    left_out = bundle.write(out, "tiny", variants, detector)
    assert left_out == [f"{'/'.join(FAILED)}: {REASON}"]
    for variant in variants:
        row = rows(out)[f"{variant.parent.name}/{variant.name}"]
        if "reason" in row:
            continue
        assert sha256(out / row["file"]) == sha256(variant / "model.tflite")
        assert (out / row["card"]).read_text() == (variant / "card.json").read_text()
    index = json.loads((out / INDEX).read_text())
    assert (out / index["detector"]["file"]).read_bytes() == b"a detector"
    assert len(index["alignment"]["size"]) == 4


def test_a_bundle_holds_what_is_listed_and_nothing_else(made, tmp_path):
    plant(tmp_path, tmp_path / "out", *made[0])
    bundle.write(tmp_path / "out", "tiny", *made)
    found = names_in(tmp_path / "out")
    sha = r"-[0-9a-f]{8}\."
    allowed = (
        r"index\.json",
        rf"models/detector{sha}tflite",
        rf"(models/\w+-\w+{sha}tflite|cards/\w+-\w+{sha}json)",
    )
    assert not strangers(found, allowed)
    assert len(found) == 2 + 2 * 5, "one variant failed"
    assert not [name for name in found if (tmp_path / "out" / name).read_bytes() == b"private"]


def test_a_face_is_cut_for_each_model_as_elsewhere(made, tmp_path):
    bundle.write(tmp_path / "out", "tiny", *made)
    row = rows(tmp_path / "out")["expression/float32"]
    assert row["cut"]["grey"] is True, "its training faces were stored grey, so the chip is"
    left, top, side = row["view"]["window"]
    assert row["view"]["size"] == 48
    assert left == pytest.approx((1 - side) / 2)
    assert top == pytest.approx(left)


def test_two_bundles_of_one_study_are_equal(made, tmp_path):
    for name in ("one", "other"):
        bundle.write(tmp_path / name, "tiny", *made)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) > 5
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ports": {"image": Port(dtype="INT8")}}, "INT8 in or out"),
        ({"crop": Crop(geometry="type_b")}, "geometry type_b"),
        ({"status": "unavailable", "reason": "weights out of reach", "sha256": None}, "weights out of reach"),
    ],
)
def test_what_the_page_cannot_run_is_told_with_its_reason(made, tmp_path, changes, reason):
    variants, detector = made
    changed(variants[0], **changes)
    left_out = bundle.write(tmp_path / "out", "tiny", variants, detector)
    row = rows(tmp_path / "out")["age_gender/float32"]
    assert reason in row["reason"]
    assert "file" not in row
    assert any(line.startswith("age_gender/float32: ") for line in left_out)


def test_a_file_that_is_not_the_cards_stops_it_and_leaves_nothing(made, tmp_path):
    variants, detector = made
    (variants[0] / "model.tflite").write_bytes(b"another")
    with pytest.raises(PocketfaceError, match="not the file that card"):
        bundle.write(tmp_path / "out", "tiny", variants, detector)
    assert not (tmp_path / "out").exists()
