import json
from pathlib import Path

import pandas as pd
import pytest

import drawn_datasets as drawn
from colour_variants import card, variant_folder
from pocketface.cards import write_card
from pocketface.core.errors import PocketfaceError
from pocketface.reporting.harness import page, write_harness
from pocketface.study import Study
from tiny_training import study

FOUND = {
    "ages": {
        "float32": {"age_group_accuracy": {"n": 20, "proper": 0.9, "squeezed": 0.7, "swapped": 0.6}},
        "int8": {"age_group_accuracy": {"n": 20, "proper": 0.85, "squeezed": 0.7, "swapped": 0.5}},
    },
    "vgg": {"float32": "unavailable: not reachable", "int8": "unavailable: not reachable"},
}


def test_the_table_splits_a_loss_into_harness_and_quantization() -> None:
    text = page("tiny", "photos", FOUND)
    assert "| ages | float32 | 20 | 90.0 | 70.0 | 60.0 | ±0 | \N{MINUS SIGN}30.0 |" in text
    assert "| ages | int8 | 20 | 85.0 | 70.0 | 50.0 | \N{MINUS SIGN}5.0 | \N{MINUS SIGN}35.0 |" in text
    assert "- `vgg`, float32, int8: unavailable: not reachable" in text
    assert "one of them is 5.0 points" in text


@pytest.fixture
def measured(tmp_path: Path, colour_model) -> Study:
    """Two photographs, and a variant that answered them right when it saw the faces."""
    members = drawn.photos(2)
    drawn.make_raw(tmp_path / "data/raw/photos/files.zip", members)
    params = study().model_dump(mode="json") | {"levels": {"float32": {}, "int8": {}}}
    variants = tmp_path / "variants/small"
    variant_folder(variants / "float32", colour_model)
    (variants / "int8").mkdir()
    write_card(variants / "int8", card(level="int8", status="failed", reason="no kernel"))
    evaluation = tmp_path / "evaluation/small/float32"
    evaluation.mkdir(parents=True)
    names = sorted(members)
    table = pd.DataFrame(
        {"dataset": "photos", "split": "test", "image": names, "gender": "male", "gender_pred": "male"}
    )
    table = table.assign(gender_prob_male=1.0, gender_prob_female=0.0)
    table.to_parquet(evaluation / "predictions.parquet", index=False)
    return Study.model_validate(params)


def test_every_variant_is_measured_three_ways(measured: Study, tmp_path: Path) -> None:
    path = write_harness(measured, "photos", tmp_path)
    found = json.loads((path.parent / "harness.json").read_text())["models"]["small"]
    figures = found["float32"]["gender_accuracy"]
    assert (figures["n"], figures["proper"]) == (2, 1.0)
    assert 0 <= figures["squeezed"] <= 1
    assert found["int8"] == "failed: no kernel"
    assert "## Gender accuracy" in path.read_text()


def test_a_missing_evaluation_is_told(measured: Study, tmp_path: Path) -> None:
    (tmp_path / "evaluation/small/float32/predictions.parquet").unlink()
    with pytest.raises(PocketfaceError, match="dvc repro evaluate"):
        write_harness(measured, "photos", tmp_path)
