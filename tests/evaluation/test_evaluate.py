import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colour_variants import variant_folder
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.evaluate import IDENTITY, evaluate_variant
from pocketface.faces.selection import PIXELS, ROWS
from pocketface.metrics.measures import measure
from pocketface.tflite.run import KERNELS

STAGE = Path(__file__).parents[2] / "stages/evaluate.py"


def select(folder: Path, **labels: object) -> Path:
    """Two faces of one dataset, two of another and a reject, painted for `colour_model`."""
    folder.mkdir(parents=True)
    rows = pd.DataFrame(
        [
            ("utkface", "a.jpg", "val", "ok", 0, 20.0, "male", None),
            ("utkface", "b.jpg", "val", "no_face", None, 50.0, "male", None),
            ("utkface", "c.jpg", "val", "ok", 1, 80.0, "female", None),
            ("photos", "d.jpg", "test", "ok", 2, None, "female", "happy"),
            ("photos", "e.jpg", "test", "ok", 3, None, "male", "sad"),
        ],
        columns=["dataset", "image", "split", "status", "face", "age", "gender", "expression"],
    )
    colours = np.array([[51, 0, 0], [204, 255, 51], [0, 204, 0], [0, 204, 255]], np.uint8)
    np.save(folder / PIXELS, np.tile(colours[:, None, None, :], (1, 48, 48, 1)))
    boxes = [[1, 2, 91, 92], *[None] * 4]
    rows = rows.assign(box=boxes, source_sha="", face=rows["face"].astype("Int64"), **labels)
    rows.to_parquet(folder / ROWS)
    return folder


def test_each_dataset_has_its_answers(colour_model, tmp_path):
    variant = variant_folder(tmp_path / "v", colour_model)
    run, predictions = evaluate_variant(variant, select(tmp_path / "faces"))
    assert (run["status"], run["reason"], run["kernels"]) == ("ok", None, KERNELS)
    assert predictions.columns[: len(IDENTITY)].tolist() == list(IDENTITY)
    assert predictions["image"].tolist() == ["d.jpg", "e.jpg", "a.jpg", "c.jpg"]
    assert predictions["split"].tolist() == ["test", "test", "val", "val"]
    assert predictions["age_pred"].tolist() == pytest.approx([0, 0, 20, 80], abs=1e-3)
    assert predictions["gender_pred"].tolist() == ["female", "female", "male", "female"]
    assert predictions["box"].iloc[2].tolist() == [1, 2, 91, 92] and predictions["box"].isna().sum() == 3
    assert predictions["pixels"].nunique() == 4, "no two faces are of the same colour"
    assert list(predictions["look"].iloc[2][:3]) == [51, 0, 0], "mean red, green and blue"


def test_predictions_are_what_the_results_are_measured_from(colour_model, tmp_path):
    _, predictions = evaluate_variant(variant_folder(tmp_path / "v", colour_model), select(tmp_path / "f"))
    of = {name: rows.dropna(axis=1, how="all") for name, rows in predictions.groupby("dataset")}
    utkface, photos = measure(of["utkface"]), measure(of["photos"])
    assert utkface.values["age_mae"] == pytest.approx(0, abs=1e-3)
    assert utkface.values["gender_accuracy"] == 1 and utkface.counts["gender_accuracy"] == 2
    assert "expression_accuracy" not in utkface.values
    assert (photos.values["gender_accuracy"], photos.values["expression_macro_f1"]) == (0.5, 1)


def test_a_person_and_labels_of_ones_own_stand_beside_the_answers(colour_model, tmp_path):
    faces = select(tmp_path / "faces", identity=["7", None, "7", None, "8"], camera="b")
    _, predictions = evaluate_variant(variant_folder(tmp_path / "v", colour_model), faces)
    assert predictions["identity"].tolist()[1:] == ["8", "7", "7"] and predictions["identity"].isna()[0]
    assert set(predictions["camera"]) == {"b"}


def test_an_age_is_answered_where_the_dataset_has_only_its_band(colour_model, tmp_path):
    labels = {"age": None, "gender": None, "expression": None}
    labels["age_band"] = ["20-29", "3-9", "60-69", "0-2", None]
    faces = select(tmp_path / "faces", dataset="fairface", **labels)
    _, predictions = evaluate_variant(variant_folder(tmp_path / "v", colour_model), faces)
    assert set(predictions["dataset"]) == {"fairface"} and "age" not in predictions
    found = measure(predictions)
    assert found.values["age_band_accuracy"] == pytest.approx(2 / 3), "20 and 0 are right, 80 is not"
    assert found.counts["age_band_accuracy"] == 3 and "age_mae" not in found.values


def test_a_dataset_without_a_label_that_the_model_answers_is_left_out(colour_model, tmp_path):
    gender = ["male", "male", "female", None, None]
    faces = select(tmp_path / "faces", gender=gender, expression=None, shop="a")
    _, predictions = evaluate_variant(variant_folder(tmp_path / "v", colour_model), faces)
    assert set(predictions["dataset"]) == {"utkface"}


def test_labels_of_something_else_are_told(colour_model, tmp_path):
    faces = select(tmp_path / "faces", gender=None, age=None, expression=None, shop="a")
    run, predictions = evaluate_variant(variant_folder(tmp_path / "v", colour_model), faces)
    assert run["status"] == "failed" and predictions.empty
    assert run["reason"].startswith("none of its datasets has a label of ")


def test_a_failed_variant_has_its_reason_and_no_answers(colour_model, tmp_path):
    faces = select(tmp_path / "faces")
    failed = variant_folder(tmp_path / "v", colour_model, status="failed", reason="no kernel")
    run, predictions = evaluate_variant(failed, faces)
    assert (run["status"], run["reason"]) == ("failed", "no kernel")
    assert predictions.empty and list(predictions.columns) == list(IDENTITY)
    damaged = variant_folder(tmp_path / "w", colour_model)
    (damaged / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    run, predictions = evaluate_variant(damaged, faces)
    assert run["status"] == "failed" and predictions.empty
    assert run["reason"].startswith("damaged, or not the file that card.json describes")


def test_without_faces_there_is_nothing_to_measure(colour_model, tmp_path):
    with pytest.raises(PocketfaceError, match=r"evaluation\.npy: no such file"):
        evaluate_variant(variant_folder(tmp_path / "v", colour_model), tmp_path)


def test_the_stage_writes_the_same_bytes_twice(colour_model, tmp_path, monkeypatch, capsys):
    variant_folder(tmp_path / "variants/colour/float32", colour_model)
    select(tmp_path / "data/views/colour")
    monkeypatch.chdir(tmp_path)

    def stage(*levels: str) -> None:
        Path("params.yaml").write_text(json.dumps({"levels": {level: {} for level in levels}}))
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "colour"])
        runpy.run_path(str(STAGE), run_name="__main__")

    written = []
    for _ in range(2):
        stage("float32")
        out = tmp_path / "evaluation/colour/float32"
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert set(written[0]) == {"run.json", "predictions.parquet"}
    assert written[0] == written[1]
    assert capsys.readouterr().out.count("colour/float32 ok: answered 4 faces") == 2
    with pytest.raises(SystemExit, match="2"):
        stage("float32", "int3")
    assert "variants/colour/int3/card.json: no such file" in capsys.readouterr().err
    assert written[1] == {path.name: path.read_bytes() for path in out.iterdir()}, "nothing is lost"
    assert not (tmp_path / "evaluation/colour/int3").exists()
