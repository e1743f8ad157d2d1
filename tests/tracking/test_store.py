"""A SQLite store that was moved or copied: its artifacts are beside it, and the original is left alone."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from fake_outs import ONE, Outs, write_evaluation, write_outs, write_results
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.published import folder as published
from pocketface.tracking import run_data, store
from pocketface.tracking.publish import track

ODD = "a b's & é @x"
"""A folder that goes wrong where a path is not quoted, or is quoted twice."""


@pytest.fixture
def outs(tmp_path, empty_database, monkeypatch) -> Outs:
    """The outs of one model in a folder that can be moved; its files run."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(run_data, "confusions", lambda study, variant, root: ())
    made = write_outs(tmp_path / "first place", ONE)
    shutil.copy(empty_database, made.root / "mlflow.db")
    for variant in (made.root / "variants/age_gender").iterdir():
        shutil.copy(published() / "age_gender/int8/model.tflite", variant)
    return made


def contents(folder: Path) -> dict[str, str]:
    return {str(path): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("take", [shutil.move, shutil.copytree])
def test_the_champion_is_loaded_and_artifacts_are_written_where_the_store_is_now(
    outs, tmp_path, take, monkeypatch, capsys
):
    import mlflow

    track(outs.study, outs.root)
    root = tmp_path / ODD
    take(str(outs.root), str(root))
    original = contents(outs.root)
    assert bool(original) == (take is shutil.copytree)

    here = contents(root / "mlartifacts")
    write_evaluation(outs.study, "age_gender", "int8", root, noise=0.4)
    write_results(Outs(outs.study, root))
    monkeypatch.chdir(root)
    assert "1 variants published, 0 with new timings, 2 already there" in track(outs.study).text()
    assert f"{root}/mlflow.db: it was in {outs.root} before" in capsys.readouterr().err
    assert contents(root / "mlartifacts").items() > here.items()
    assert contents(outs.root) == original
    assert {path.name for path in tmp_path.iterdir()} <= {outs.root.name, ODD}
    assert str(outs.root) not in "".join(sqlite3.connect(root / "mlflow.db").iterdump()).replace("%20", " ")

    with store.default_store(store.address_of(root)):
        uri = "models:/pocketface-tiny-age@champion"
        assert Path(mlflow.artifacts.download_artifacts(uri)).is_relative_to(root / "mlartifacts")
        assert mlflow.pyfunc.load_model(uri).metadata.signature.inputs.input_names() == ["image"]


def test_a_store_without_its_artifacts_is_refused(outs, tmp_path):
    track(outs.study, outs.root)
    original = contents(outs.root)
    root = write_outs(tmp_path / "copy", ONE).root
    shutil.copy(outs.root / "mlflow.db", root)
    before = contents(root)
    with pytest.raises(
        PocketfaceError, match=rf"{root}/mlartifacts is missing: bring {outs.root}/mlartifacts"
    ):
        track(outs.study, root)
    assert contents(root) == before and contents(outs.root) == original


def test_locations_elsewhere_stay_and_studies_move_together(outs, tmp_path, capsys):
    opened = store.open_store(outs.study, store.address_of(outs.root)).client
    other = outs.study.model_copy(update={"study": "other"})
    store.open_store(other, store.address_of(outs.root))
    elsewhere = {
        "mine": "s3://bucket/mlartifacts",
        "near": f"{outs.root} too/mlruns/8",
        "far": "file:///far/1",
    }
    for name, location in [*elsewhere.items(), ("notes", f"{outs.root}/mlruns/9")]:
        opened.create_experiment(name, location)
    root = tmp_path / ODD
    outs.root.rename(root)
    moved = store.open_store(outs.study, store.address_of(root)).client
    locations = {one.name: one.artifact_location for one in moved.search_experiments()}
    assert elsewhere.items() <= locations.items()
    assert locations["notes"] == f"{root}/mlruns/9"
    for study in ("tiny", "other"):
        assert locations[f"pocketface-{study}"] == (root / "mlartifacts").as_uri()
    store.open_store(outs.study, store.address_of(root))
    assert capsys.readouterr().err.count("it was in") == 1


def test_a_named_sqlite_store_has_its_artifacts_beside_it(outs, tmp_path, monkeypatch):
    named = tmp_path / "stores/all.db"
    named.parent.mkdir()
    shutil.copy(outs.root / "mlflow.db", named)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{named}")
    track(outs.study, outs.root)
    assert (named.parent / "mlartifacts").is_dir() and not (outs.root / "mlartifacts").exists()


@pytest.mark.parametrize("name", ["50%25 off", "which?", "#1"])
def test_a_folder_from_which_mlflow_loads_nothing_is_refused(outs, tmp_path, name):
    root = tmp_path / name
    outs.root.rename(root)
    before = contents(tmp_path)
    with pytest.raises(PocketfaceError, match=rf"{re.escape(str(root))}/mlflow.db: .* rename the folder"):
        track(outs.study, root)
    assert contents(tmp_path) == before
