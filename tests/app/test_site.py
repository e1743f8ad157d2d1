import json
import re
import shutil
from pathlib import Path

import pytest

from colour_variants import variant_folder
from fake_outs import FAILED, LEVELS, REASON, STUDY, model_card, write_outs
from pocketface import published
from pocketface.app import site
from pocketface.app.site import INDEX
from pocketface.cards import MODEL_FILE, Port, VariantCard, read_card, write_card
from pocketface.choosing.rule import pick
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.faces.settings import Crop
from pocketface.results.table import Table
from pocketface.study import Study
from pocketface.tflite.file import TFLiteFile
from private_files import names_in, plant, strangers

REPOSITORY = Path(__file__).parents[2]


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
    """The fake study's variants, and a folder that stands for the runtime."""
    outs = write_outs(tmp_path)
    for path in tmp_path.glob(f"variants/*/*/{MODEL_FILE}"):
        card = read_card(path.parent, VariantCard)
        variant_folder(path.parent, TFLiteFile(models[card.model]), card)
    (tmp_path / "litert").mkdir()
    (tmp_path / "litert/index.js").write_text("runs")
    variants = [tmp_path / "variants" / model / level for model in outs.study.models for level in LEVELS]
    return {"study tiny": variants}, tmp_path / "litert"


def changed(folder, **changes):
    card = read_card(folder, VariantCard).model_dump() | changes
    write_card(folder, VariantCard.model_validate(card))


def rows(folder) -> dict[str, dict]:
    index = json.loads((folder / INDEX).read_text())
    return {f"{row['model']}/{row['level']}": row for row in index["variants"]}


def test_a_site_holds_the_pipelines_own_files(made, tmp_path):
    out = tmp_path / "out"
    told = site.write(out, *made)
    assert [row["reason"] for row in told if "reason" in row] == [REASON]
    for variant in made[0]["study tiny"]:
        row = rows(out)[f"{variant.parent.name}/{variant.name}"]
        assert row["from"] == "study tiny"
        if (variant.parent.name, variant.name) == FAILED:
            continue
        assert sha256(out / "bundle" / row["file"]) == sha256(variant / "model.tflite")
        assert (out / "bundle" / row["card"]).read_text() == (variant / "card.json").read_text()
    index = json.loads((out / INDEX).read_text())
    assert (out / "bundle" / index["detector"]["file"]).read_bytes() == site.DETECTOR.read_bytes()
    assert len(index["alignment"]["size"]) == 4


def test_a_site_holds_what_is_listed_and_nothing_else(made, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "PAGE", tmp_path / "page")
    shutil.copytree(REPOSITORY / "src/pocketface/app/page", site.PAGE)
    plant(tmp_path, site.PAGE, *made[0]["study tiny"])
    site.write(tmp_path / "out", *made)
    found = names_in(tmp_path / "out")
    sha = r"-[0-9a-f]{8}\."
    allowed = (
        r"\w+\.(html|css|js|webmanifest)|icon-\w+\.png|sample\.jpg|\.nojekyll|litert/index\.js",
        r"bundle/index\.json",
        rf"bundle/models/detector{sha}tflite",
        rf"bundle/(models/\w+-\w+{sha}tflite|cards/\w+-\w+{sha}json)",
    )
    assert not strangers(found, allowed)
    assert len([name for name in found if name.startswith("bundle/")]) == 2 + 2 * 5, "one variant failed"


def test_the_service_worker_keeps_every_file_of_the_page_and_changes_with_them(made, tmp_path, monkeypatch):
    site.write(tmp_path / "out", *made)
    worker = (tmp_path / "out/sw.js").read_text()
    kept = set(json.loads(re.search(r"FILES = (\[.*\]);", worker)[1])) - {"./"}
    own = {path.name for path in site.PAGE.iterdir()} - {"sw.js", "index.html"}
    assert kept == own | {"sample.jpg", "litert/index.js"}
    assert all((tmp_path / "out" / name).is_file() for name in kept)
    monkeypatch.setattr(site, "PAGE", tmp_path / "page")
    shutil.copytree(
        tmp_path / "out", site.PAGE, ignore=shutil.ignore_patterns("litert", "bundle", "sample.jpg")
    )
    shutil.copy(REPOSITORY / "src/pocketface/app/page/sw.js", site.PAGE)
    (site.PAGE / "main.js").write_text("another")
    site.write(tmp_path / "other", *made)
    version = re.compile(r'"pocketface-(\w{12})"')
    assert version.search(worker)[1] != version.search((tmp_path / "other/sw.js").read_text())[1]


def test_a_folder_with_something_else_is_not_replaced(made, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("notes")
    with pytest.raises(PocketfaceError, match="name a new folder"):
        site.write(tmp_path / "mine", *made)
    assert (tmp_path / "mine/notes.txt").read_text() == "notes"
    site.write(tmp_path / "out", *made)
    site.write(tmp_path / "out", *made)
    (tmp_path / "out/.git").mkdir()
    with pytest.raises(PocketfaceError, match="name a new folder"):
        site.write(tmp_path / "out", *made)


def test_the_published_models_come_first_and_a_studys_are_told_apart(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.move("variants", "elsewhere")
    [(place, paths)] = site.models().items()
    assert place == "published"
    assert [path.parent.name for path in paths[:3]] == ["age_gender_expression", "age_gender", "attributes"]
    shutil.move("elsewhere", "variants")
    (tmp_path / "params.yaml").write_text(json.dumps(STUDY))
    assert len(site.models()[f"study {STUDY['study']}"]) == len(made[0]["study tiny"])


def test_an_age_comes_with_the_error_that_was_measured(made, tmp_path, monkeypatch):
    told = site.write(tmp_path / "out", site.models(), made[1])
    errors = {row["model"]: row["age_errors"] for row in told if row["from"] == site.PUBLISHED}
    measured = published.read(published.folder() / "age_gender").levels["int8"].groups["utkface"]["age_band"]
    assert errors["age_gender"][0] == (0, measured["0-2"]["age_mae"])
    assert errors["age_gender"][-1] == (70, measured["more than 70"]["age_mae"])
    assert errors["expression"] == []
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "reports/tiny/metrics.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({"age_gender": {"float32": {"n": 3, "utkface.age_mae": 7.5}}}))
    told = site.write(tmp_path / "other", *made)
    assert [row["age_errors"] for row in told if row["age_errors"]] == [[(0, 7.5)]]


def test_the_page_is_told_which_level_of_a_study_to_take(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps(STUDY))
    told = site.write(tmp_path / "out", site.models(), made[1])
    champion = Study.model_validate(STUDY).champion.model_copy(update={"target": "web"})
    picks = [pick(Table.load(), model, champion).take for model in STUDY["models"]]
    assert {(row["model"], row["level"]) for row in told if row["take"]} == {
        (p.model, p.level) for p in picks
    }


def test_every_module_that_the_page_imports_is_there():
    for path in site.PAGE.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text()):
            assert name == "litert/index.js" or (site.PAGE / name).is_file(), f"{path.name}: {name}"


def test_a_face_is_cut_for_each_model_as_elsewhere(made, tmp_path):
    site.write(tmp_path / "out", *made)
    row = rows(tmp_path / "out")["expression/float32"]
    assert row["cut"]["grey"] is True, "its training faces were stored grey, so the chip is"
    left, top, side = row["view"]["window"]
    assert row["view"]["size"] == 48
    assert left == pytest.approx((1 - side) / 2)
    assert top == pytest.approx(left)


def test_two_sites_of_one_study_are_equal(made, tmp_path):
    for name in ("one", "other"):
        site.write(tmp_path / name, *made)
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
    changed(made[0]["study tiny"][0], **changes)
    site.write(tmp_path / "out", *made)
    row = rows(tmp_path / "out")["age_gender/float32"]
    assert reason in row["reason"]
    assert "file" not in row


def test_a_file_that_is_not_the_cards_stops_it_and_leaves_nothing(made, tmp_path):
    (made[0]["study tiny"][0] / "model.tflite").write_bytes(b"another")
    with pytest.raises(PocketfaceError, match="not the file that card"):
        site.write(tmp_path / "out", *made)
    assert not (tmp_path / "out").exists()
