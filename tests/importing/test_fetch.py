import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from weight_files import noise, weights_of, write_hdf5

from pocketface import models
from pocketface.cards import ModelCard, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.faces.selection import save, select
from pocketface.faces.settings import Input
from pocketface.fetching.sources import Sources
from pocketface.importing.fetch import fetch
from pocketface.latency.benchmark import benchmark
from pocketface.levels.convert import convert
from pocketface.levels.export import export
from pocketface.levels.settings import LevelSettings
from pocketface.study import Study
from pocketface.training.fit import load
from tiny_training import face_set, study

STANZA = {
    "weights": "known",
    "dataset": "utkface",
    "architecture": "pocket",
    "options": {"widths": [8], "depths": [1], "units": 8},
    "input": {"size": 32, "channels": 3, "margin": 0.2},
    "heads": ["gender"],
}


def plan(**changes: object) -> Study:
    params = study().model_dump(mode="json")
    return Study.model_validate(
        params
        | {
            "models": {},
            "fetched": {"theirs": STANZA | changes},
            "levels": {"float32": {}},
            "mix": ["utkface"],
        }
    )


def known(**file: object) -> Sources:
    entry = {"mirror": "weights/known.h5"} | file
    source = {
        "title": "Known",
        "licence": "CC0",
        "trained_on": "faces of theirs",
        "answers": {"gender": ["female", "male"]},
        "files": [entry],
    }
    return Sources.model_validate({"weights": {"known": source}})


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """A folder of archives that has the file."""
    (tmp_path / "archives/weights").mkdir(parents=True)
    model = models.build("pocket", Input(size=32), ["gender"], STANZA["options"])
    write_hdf5(tmp_path / "archives/weights/known.h5", noise(weights_of(model)))
    return tmp_path / "archives"


def test_fetched_weights_leave_what_training_leaves(tmp_path: Path, archives: Path) -> None:
    digest = sha256(archives / "weights/known.h5")
    card = fetch(plan(), "theirs", known(sha256=digest), tmp_path / "models/theirs", archives)
    assert card == read_card(tmp_path / "models/theirs", ModelCard)
    assert (card.dataset, card.licence, card.status) == ("faces of theirs", "CC0", "ok")
    assert card.outputs["gender"].labels == ("male", "female")
    model = load(card, tmp_path / "models/theirs")
    assert card.parameters == model.count_params()
    again = fetch(plan(), "theirs", known(sha256=digest), tmp_path / "again", archives)
    assert again == card
    assert sha256(tmp_path / "again/model.weights.h5") == sha256(tmp_path / "models/theirs/model.weights.h5")


@pytest.mark.parametrize(
    ("content", "file", "complaint"),
    [
        (None, {"sha256": "0" * 64}, "not the file that data/sources.yaml means"),
        (b"<html>", {}, "not readable as HDF5"),
    ],
)
def test_a_wrong_file_stops_everything(tmp_path: Path, archives: Path, content, file, complaint) -> None:
    if content:
        (archives / "weights/known.h5").write_bytes(content)
    with pytest.raises(PocketfaceError, match=complaint):
        fetch(plan(), "theirs", known(**file), tmp_path / "models/theirs", archives)
    assert not (tmp_path / "models/theirs").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path, archives: Path) -> None:
    other = plan(options={"widths": [16], "depths": [1], "units": 8})
    with pytest.raises(PocketfaceError, match=r"known\.h5: its layer"):
        fetch(other, "theirs", known(), tmp_path / "models/theirs", archives)


def test_what_cannot_be_had_is_unavailable_all_the_way(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("POCKETFACE_MIRROR", raising=False)
    trained = tmp_path / "models/theirs"
    card = fetch(plan(), "theirs", known(), trained, tmp_path / "archives")
    assert card.status == "unavailable"
    assert str(tmp_path / "archives/weights/known.h5") in card.reason
    assert "dvc repro -f fetch_weights@theirs" in card.reason
    assert "could not be had anywhere" in capsys.readouterr().err
    assert not (trained / "model.weights.h5").exists()

    views, variant = tmp_path / "views", tmp_path / "variants/theirs/float32"
    save(select(face_set(), face_set(dataset="photos", seed=1), Input(size=32)), views)
    assert export(trained, views, tmp_path / "exported").status == "unavailable"
    converted = convert(tmp_path / "exported", views, "float32", LevelSettings(), variant)
    assert converted.status == "unavailable"
    assert read_card(variant, VariantCard).reason == card.reason
    metrics, predictions = evaluate_variant(variant, views)
    assert (metrics["status"], metrics["reason"]) == ("unavailable", card.reason)
    assert predictions.empty
    timing = benchmark({"float32": variant}, [1], 3, 0)["float32"]
    assert (timing["status"], timing["threads"]) == ("unavailable", {})


def test_a_published_folder_is_a_source_too(tmp_path: Path, archives: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    fetch(plan(), "theirs", known(), tmp_path / "made", archives)
    folder = tmp_path / "weights/ours"
    shutil.copytree(tmp_path / "made", folder)
    card = json.loads((folder / "card.json").read_text())
    card |= {"study": "tiny", "seed": 1, "command": "dvc repro", "sources": {}, "levels": {}}
    card["weights_sha256"] = sha256(folder / "model.weights.h5")
    (folder / "card.json").write_text(json.dumps(card))

    mixed = plan(weights="weights/ours", options={}, dataset="mix")
    again = fetch(mixed, "theirs", known(), tmp_path / "models/theirs", archives)
    assert (again.dataset, again.licence, again.options) == ("faces of theirs", "CC0", STANZA["options"])
    for own, other in zip(
        load(again, tmp_path / "models/theirs").weights, load(again, tmp_path / "made").weights, strict=True
    ):
        np.testing.assert_array_equal(own, other)
    with pytest.raises(PocketfaceError, match="the stanza must say the same"):
        fetch(plan(weights="weights/ours", heads=["age"]), "theirs", known(), tmp_path / "x", archives)
    (folder / "model.weights.h5").write_bytes(b"other")
    with pytest.raises(PocketfaceError, match=r"not the file that card\.json describes"):
        fetch(plan(weights="weights/ours"), "theirs", known(), tmp_path / "x", archives)


def test_a_model_that_is_trained_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match="is trained, not fetched"):
        fetch(study(), "small", known(), tmp_path / "x")
