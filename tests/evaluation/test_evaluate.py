import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from colour_variants import variant_folder
from pocketface.core.errors import PocketfaceError
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.faces.selection import PIXELS, ROWS

STAGE = Path(__file__).parents[2] / "stages/evaluate.py"


def select(folder: Path) -> Path:
    """Three faces of one dataset, one of another and a reject, painted for `colour_model`."""
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
    rows.assign(box=None, source_sha="", face=rows["face"].astype("Int64")).to_parquet(folder / ROWS)
    return folder


def test_each_dataset_has_its_figures(colour_model, tmp_path):
    variant = variant_folder(tmp_path / "v", colour_model)
    metrics, predictions = evaluate_variant(variant, select(tmp_path / "faces"))
    assert (metrics["model"], metrics["level"], metrics["status"]) == ("colour", "float32", "ok")
    utkface, photos = metrics["datasets"]["utkface"], metrics["datasets"]["photos"]
    assert utkface["n"] == 2
    assert utkface["split"] == "val"
    assert utkface["faces_rejected"] == {"no_face": 1}
    assert utkface["metrics"]["age_mae"] == pytest.approx(0, abs=1e-3)
    assert utkface["metrics"]["gender_accuracy"] == 1.0
    assert utkface["baseline"]["age_mae"] == 30.0
    assert utkface["by_group"]["age_band"]["more than 70"]["n"] == 1
    assert "expression_accuracy" not in utkface["metrics"]
    assert photos["metrics"]["gender_accuracy"] == 0.5
    assert photos["metrics"]["expression_accuracy"] == photos["metrics"]["expression_macro_f1"] == 1.0
    assert {"gender_ece", "expression_weighted_f1"} <= set(photos["metrics"])
    assert photos["intervals"]["gender_accuracy"] == pytest.approx((0.095, 0.905), abs=1e-3)
    assert utkface["varies"]
    assert not photos["varies"], "both photos are answered with age 0"
    assert predictions["image"].tolist() == ["d.jpg", "e.jpg", "a.jpg", "c.jpg"]
    assert predictions["age_pred"].tolist() == pytest.approx([0, 0, 20, 80], abs=1e-3)


def test_an_age_is_measured_by_its_band_where_the_dataset_has_no_years(colour_model, tmp_path):
    faces = select(tmp_path / "faces")
    rows = pd.read_parquet(faces / ROWS)
    labels = {
        "dataset": ["fairface"] * 5,
        "age": np.nan,
        "age_band": ["20-29", "3-9", "60-69", "0-2", None],
        "race": ["middle eastern", "white", "latino_hispanic", "east asian", "white"],
    }
    rows.assign(**labels).to_parquet(faces / ROWS)
    metrics, _ = evaluate_variant(variant_folder(tmp_path / "v", colour_model), faces)
    found = metrics["datasets"]["fairface"]
    assert found["metrics"]["age_band_accuracy"] == pytest.approx(2 / 3), "20 and 0 are right, 80 is not"
    assert found["metric_n"]["age_band_accuracy"] == 3
    assert found["baseline"]["age_band_accuracy"] == pytest.approx(1 / 3)
    assert "age_mae" not in found["metrics"]
    assert list(found["by_group"]["race"]) == ["white", "east asian", "middle eastern", "latino_hispanic"]
    assert found["by_group"]["race"]["latino_hispanic"]["age_band_accuracy"] == 0
    assert found["by_group"]["age_band"]["60-69"]["n"] == 1


def test_a_failed_variant_is_a_row_with_its_reason(colour_model, tmp_path):
    faces = select(tmp_path / "faces")
    failed = variant_folder(tmp_path / "v", colour_model, status="failed", reason="no kernel")
    metrics, predictions = evaluate_variant(failed, faces)
    assert (metrics["status"], metrics["reason"], metrics["datasets"]) == ("failed", "no kernel", {})
    assert predictions.empty
    damaged = variant_folder(tmp_path / "w", colour_model)
    (damaged / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    metrics, _ = evaluate_variant(damaged, faces)
    assert metrics["status"] == "failed"
    assert metrics["reason"].startswith("damaged, or not the file that card.json describes")


def test_without_faces_there_is_nothing_to_measure(colour_model, tmp_path):
    with pytest.raises(PocketfaceError, match="no evaluation faces"):
        evaluate_variant(variant_folder(tmp_path / "v", colour_model), tmp_path)


def test_the_stage_writes_the_same_bytes_twice(colour_model, tmp_path, monkeypatch, capsys):
    variant_folder(tmp_path / "variants/colour/float32", colour_model)
    select(tmp_path / "data/views/colour")
    monkeypatch.chdir(tmp_path)

    def stage(level: str) -> None:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "colour", level])
        runpy.run_path(str(STAGE), run_name="__main__")

    written = []
    for _ in range(2):
        stage("float32")
        out = tmp_path / "evaluation/colour/float32"
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert set(written[0]) == {"metrics.json", "predictions.parquet"}
    assert written[0] == written[1]
    assert json.loads(written[0]["metrics.json"])["datasets"]["utkface"]["n"] == 2
    with pytest.raises(SystemExit, match="2"):
        stage("int3")
    assert "variants/colour/int3/card.json: no such file" in capsys.readouterr().err
    assert not (tmp_path / "evaluation/colour/int3").exists()
