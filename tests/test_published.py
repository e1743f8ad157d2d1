import json
import time
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from colour_variants import variant_folder
from fake_outs import STUDY, Outs, write_publishable
from pocketface import published, publishing
from pocketface.cards import MODEL_FILE, ModelCard, VariantCard, read_card, write_card
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.faces.view import views
from pocketface.results.table import Table
from pocketface.study import Study
from tiny_training import face_set, study

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def outs(tmp_path: Path) -> Outs:
    """A study that has run, with its params among the studies."""
    return write_publishable(tmp_path)


def test_an_age_has_errors_by_band_where_they_were_published() -> None:
    variant = published.folder() / "age_gender/int8"
    errors = published.age_errors(variant)
    assert [start for start, _ in errors] == sorted({start for start, _ in errors})
    assert dict(errors)[0] < dict(errors)[70]
    assert published.age_errors(variant.parents[1] / "expression/int8") == []
    assert (
        published.age_errors(variant.parent) == [] == published.age_errors(Path("variants/age_gender/int8"))
    )


def test_a_published_folder_says_what_it_is_and_how_to_rebuild_it(outs: Outs) -> None:
    folder = outs.root / "weights/pocket"
    card = publishing.publish(outs.study, "age_gender", folder, ["int8", "float16"], outs.root)
    assert published.read(folder) == card
    published.check(folder, card)
    assert (card.study, card.seed, card.dataset) == ("tiny", 1, "utkface")
    assert card.command == "pocketface study use tiny && dvc repro"
    assert card.licence == "terms of utkface"
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.json",
        "float16",
        "int8",
        "model.weights.h5",
        "seen.npy",
    ]
    assert (folder / "int8/model.tflite").read_bytes() == b"age_gender at int8"
    assert read_card(folder / "int8", VariantCard).level == "int8"
    assert {level: figures.included for level, figures in card.levels.items()} == {
        "float32": False,
        "float16": True,
        "int8": True,
    }
    mae = Table.load(outs.root).value("age_gender", "int8", "age_mae", "utkface")
    assert card.levels["int8"].metrics["utkface"]["age_mae"] == pytest.approx(mae, rel=1e-5)
    assert "race" in card.levels["int8"].groups["utkface"]


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("weights/*/int8")), ids=lambda path: path.parent.name)
def test_the_card_of_a_published_model_names_all_that_it_learned_from(path: Path) -> None:
    card = published.read(path.parent)
    start, teachers = card.training.get("start") or [], card.training.get("teachers") or {}
    backbones = [Path(file).name.partition(".")[0] for file in [card.options.get("weights")] if file]
    models = [*([start] if isinstance(start, str) else start), *teachers.get("weights", [])]
    learned = {*card.dataset.split(", "), *backbones}
    learned |= {name for model in models for name in published.read(REPOSITORY / model).sources}
    assert set(card.sources) == learned
    for said in card.sources.values():
        assert said.partition(": ")[2] in card.licence


def test_kernels_at_half_precision_load_as_they_are(outs: Outs) -> None:
    whole, halved = outs.root / "weights/whole", outs.root / "weights/halved"
    assert publishing.publish(outs.study, "age_gender", whole, root=outs.root).weights_dtype == "float32"
    card = publishing.publish(outs.study, "age_gender", halved, root=outs.root, half=True)
    assert card.weights_dtype == "float16"
    published.check(halved, card)
    with h5py.File(whole / "model.weights.h5") as was, h5py.File(halved / "model.weights.h5") as is_:
        pairs: list[tuple[h5py.Dataset, h5py.Dataset]] = []
        was.visititems(lambda name, item: pairs.append((item, is_[name])) if hasattr(item, "shape") else None)
        kinds = {(array.ndim > 1, str(kept.dtype)) for array, kept in pairs if array.dtype == np.float32}
        assert kinds >= {(True, "float16")} and not kinds & {(True, "float32"), (False, "float16")}
        for array, kept in pairs:
            np.testing.assert_allclose(kept[()], array[()], rtol=1e-3, atol=1e-6)


def test_weights_are_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    """HDF5 notes when a group was made, in seconds."""
    trained, packed = tmp_path / "trained.h5", tmp_path / "packed.h5"
    with h5py.File(trained, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.arange(6, dtype=np.float32))
    found = set()
    for wait in (0, 1.1):
        time.sleep(wait)
        publishing.pack(trained, packed, lambda numbers: False)
        found.add(packed.read_bytes())
    assert len(found) == 1


def test_published_weights_are_the_trained_ones_in_fewer_bytes(outs: Outs) -> None:
    folder = outs.root / "weights/pocket"
    publishing.publish(outs.study, "age_gender", folder, root=outs.root)
    trained, packed = outs.root / "models/age_gender/model.weights.h5", folder / "model.weights.h5"
    with h5py.File(trained) as was:
        assert "optimizer" in was
    assert packed.stat().st_size < trained.stat().st_size
    with h5py.File(trained) as was, h5py.File(packed) as is_:
        assert is_.attrs["of"] == "a test"
        assert "optimizer" not in is_
        for name in ("layers/dense/vars/0", "layers/dense/vars/1"):
            np.testing.assert_array_equal(is_[name][()], was[name][()])


@pytest.mark.parametrize(
    ("model", "levels", "complaint"),
    [
        ("mood", ["int8"], "trains no 'mood'; it trains age_gender, expression"),
        ("age_gender", ["int4"], r"no level \['int4'\]"),
        ("expression", ["int8"], r"variants/expression/int8: failed: no kernel"),
    ],
)
def test_what_cannot_be_published_is_told(outs: Outs, model: str, levels: list[str], complaint: str) -> None:
    with pytest.raises(PocketfaceError, match=complaint):
        publishing.publish(outs.study, model, outs.root / "weights/x", levels, root=outs.root)
    assert not (outs.root / "weights/x").exists()


def test_the_reserved_part_is_measured_when_asked(tmp_path: Path, colour_model: Path) -> None:
    params = study().model_dump(mode="json")
    params["models"]["small"]["input"]["size"] = 48
    plan = Study.model_validate(params)
    for number, name in enumerate(("utkface", plan.holdout)):
        faces = face_set(dataset=name, seed=number)
        reserved = faces.rows("val").index[:5]
        faces.index.loc[reserved, ["split", "age"]] = ["test", 100.0]
        if name == plan.holdout:  # a study measures all of it
            faces.index["split"] = "test"
        folder = tmp_path / "data/faces" / name
        folder.mkdir(parents=True)
        np.save(folder / "faces.npy", faces.pixels)
        faces.index.to_parquet(folder / "index.parquet")
        about = {"dataset": name, "crop": faces.crop.model_dump(mode="json")}
        (folder / "crop.json").write_text(json.dumps(about))
        if name == "utkface":
            rows = faces.index.loc[reserved, "face"].to_numpy(int)
            seen = views(faces.pixels[rows], faces.crop, plan.models["small"].input)
    variant = variant_folder(tmp_path / "variants/small/float32", colour_model)
    made = {"float32": read_card(variant, VariantCard)}
    found = publishing._tested(plan, "small", made, tmp_path)["float32"]
    assert set(found) == {"utkface"}
    assert found["utkface"]["age_mae"] == pytest.approx(100 - 100 * seen[..., 0].mean() / 255, abs=0.01)


def test_the_reserved_part_of_a_release_is_read_once(outs: Outs, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, found = outs.root / "weights/pocket", {"int8": {"utkface": {"age_mae": 5.0}}}
    read: list[str] = []
    monkeypatch.setattr(publishing, "_tested", lambda *_: read.append("once") or found)
    publish = partial(publishing.publish, outs.study, "age_gender", folder, root=outs.root)
    assert publish().tested is None
    first = publish(test=True)
    assert first.tested and first.levels["int8"].test == found["int8"]
    assert publish() == publish(test=True) == first and read == ["once"]
    variant = outs.root / "variants/age_gender/int8"
    write_card(variant, read_card(variant, VariantCard).model_copy(update={"sha256": "0" * 64}))
    other = publish()
    assert other.tested is None and other.levels["int8"].test == {}


def test_what_a_model_was_measured_at_before_stays_until_it_is_trained_anew(outs: Outs) -> None:
    folder, before = outs.root / "weights/pocket", {"utkface": {"age_mae": 6.0}}
    publish = partial(publishing.publish, outs.study, "age_gender", folder, root=outs.root)
    card = publish()
    card.levels["int8"] = card.levels["int8"].model_copy(update={"before": before})
    write_card(folder, card)
    assert publish().levels["int8"].before == before
    made = outs.root / "models/age_gender"
    anew = read_card(made, ModelCard)
    write_card(made, anew.model_copy(update={"training": anew.training | {"epochs": 99}}))
    assert publish().levels["int8"].before is None


def test_others_must_be_able_to_rebuild_it(tmp_path: Path) -> None:
    outs = write_publishable(tmp_path / "my faces")
    (outs.root / "studies/tiny.yaml").write_text(yaml.safe_dump(STUDY | {"seed": 2}))
    with pytest.raises(PocketfaceError, match=r"studies/tiny\.yaml: must .* `cp params.yaml '/.*tiny.yaml'`"):
        publishing.publish(outs.study, "age_gender", outs.root / "weights/x", root=outs.root)


def test_a_folder_that_is_too_large_is_refused_and_the_earlier_one_stays(outs: Outs, monkeypatch) -> None:
    folder = outs.root / "weights/pocket"
    publishing.publish(outs.study, "age_gender", folder, root=outs.root)
    monkeypatch.setattr(publishing, "LARGEST", 100)
    with pytest.raises(PocketfaceError, match=r"100 may be \(.*int8/model\.tflite 18"):
        publishing.publish(outs.study, "age_gender", folder, ["int8", "float32"], root=outs.root)
    assert not (folder / "float32").exists()
    assert (folder / "int8").exists()


def test_the_default_models_are_the_published_ones_of_these_names(
    tmp_path: Path, colour_model, monkeypatch
) -> None:
    monkeypatch.setattr(published, "folder", lambda: tmp_path)
    monkeypatch.setattr(published, "DEFAULT_MODELS", ("age_gender", "expression"))
    for name in ("facenet", "age_gender"):
        variant_folder(tmp_path / name / "int8", colour_model, level="int8")
    with pytest.raises(PocketfaceError, match=r"expression.int8: no published model there; say --model"):
        published.default_models()
    variant_folder(tmp_path / "expression/int8", colour_model, level="int8")
    assert published.default_models() == [tmp_path / "age_gender/int8", tmp_path / "expression/int8"]


def test_a_model_is_named_by_its_path_or_as_published(tmp_path: Path, colour_model, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for level in ("int8", "uint8_io"):
        variant_folder(tmp_path / f"weights/colour/{level}", colour_model, level=level)
    weights = tmp_path / "weights"
    monkeypatch.setattr(published, "folder", lambda: weights)

    def opened(name: str) -> Path:
        return published.named_variant(Path(name))

    assert opened("colour") == weights / "colour/int8"
    assert opened("colour/uint8_io") == weights / "colour/uint8_io"
    assert opened("weights/colour") == Path("weights/colour/int8")
    assert published.named(Path("colour")) == weights / "colour"
    with pytest.raises(PocketfaceError, match=r"published are colour/int8, colour/uint8_io$"):
        opened("colour/int4")
    Path("colour").mkdir()
    assert opened("colour") == weights / "colour/int8", "a folder of pictures is no model"
    variant_folder(tmp_path / "mine", colour_model)
    assert opened("mine") == Path("mine")
    assert opened(str(colour_model)) == colour_model


def test_a_published_model_is_read_with_its_weights(outs: Outs) -> None:
    folder = outs.root / "weights/pocket"
    card = publishing.publish(outs.study, "age_gender", folder, root=outs.root)
    assert published.model_card(folder) == card
    assert published.model_card(outs.root / "models/age_gender").model == "age_gender"
    for variant in (folder / "int8", folder / "int8/model.tflite"):
        with pytest.raises(PocketfaceError, match="a variant; name the folder of its model"):
            published.model_card(variant)
    (folder / "model.weights.h5").unlink()
    with pytest.raises(PocketfaceError, match="in the repository, not in the installed package"):
        published.model_card(folder)


def test_the_default_models_answer_age_gender_and_expression_within_3_megabytes() -> None:
    models = published.default_models()
    heads = [head for model in models for head in read_card(model, VariantCard).outputs]
    assert sorted(heads) == ["age", "expression", "gender"]
    assert sum((model / MODEL_FILE).stat().st_size for model in models) <= 3_000_000


def test_the_command_takes_terms_from_the_sources_and_says_what_was_reached(outs: Outs, monkeypatch) -> None:
    monkeypatch.chdir(outs.root)
    result = CliRunner().invoke(app, ["publish", "age_gender", "--as", "pocket", "--levels", "int8,float16"])
    assert result.exit_code == 0, result.output
    assert "weights/pocket/int8: 331,000 bytes, " in result.stdout
    assert "utkface.age_mae" in result.stdout
    card = published.read(Path("weights/pocket"))
    assert card.sources == {"utkface": "UTKFACE, no home page: terms of utkface"}
    refused = CliRunner().invoke(app, ["publish", "mood", "--as", "mood"])
    assert refused.exit_code == 2
    assert "trains no 'mood'" in refused.stderr
