import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import drawn_datasets as drawn
from colour_variants import card, variant_folder
from pocketface.cards import write_card
from pocketface.core.errors import PocketfaceError
from pocketface.faces.settings import Input
from pocketface.study import Study
from tiny_training import study

SCRIPT = Path(__file__).parents[2] / "studies/photos_harness.py"
spec = importlib.util.spec_from_file_location("photos_harness", SCRIPT)
assert spec and spec.loader
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)


def test_the_whole_frame_is_squeezed_and_its_colours_may_change_places() -> None:
    picture = np.zeros((100, 400, 3), np.uint8)
    picture[:, 200:] = (250, 0, 50)
    plain = harness.squeezed(picture, Input(size=20), swapped=False)
    assert plain.shape == (20, 20, 3)
    assert tuple(plain[10, 2]) == (0, 0, 0)
    assert tuple(plain[10, 17]) == (250, 0, 50)
    assert tuple(harness.squeezed(picture, Input(size=20), swapped=True)[10, 17]) == (50, 0, 250)
    assert harness.squeezed(picture, Input(size=20, channels=1), swapped=False).shape == (20, 20, 1)


def test_the_table_splits_a_loss_into_harness_and_quantization() -> None:
    about = {"model": "ages", "metric": "age_group_accuracy", "n": 20, "squeezed": 0.7}
    rows = [
        about | {"level": "float32", "proper": 0.9, "swapped": 0.6},
        about | {"level": "int8", "proper": 0.85, "swapped": 0.5},
        *({"model": "vgg", "level": level, "reason": "unavailable: gone"} for level in ("float32", "int8")),
    ]
    text = harness.page("photos", pd.DataFrame(rows))
    assert "| ages | float32 | 20 | 90.0 | 70.0 | 60.0 | ±0 | \N{MINUS SIGN}30.0 |" in text
    assert "| ages | int8 | 20 | 85.0 | 70.0 | 50.0 | \N{MINUS SIGN}5.0 | \N{MINUS SIGN}35.0 |" in text
    assert "- `vgg`, float32, int8: unavailable: gone" in text
    assert "one of them is 5.0 points" in text


@pytest.fixture
def plan(tmp_path: Path, colour_model) -> Study:
    """Two photographs, and a variant that answered them right when it saw the faces."""
    members = drawn.photos(2)
    drawn.make_raw(tmp_path / "data/raw/photos/files.zip", members)
    variants = tmp_path / "variants/small"
    variant_folder(variants / "float32", colour_model)
    (variants / "int8").mkdir()
    write_card(variants / "int8", card(level="int8", status="failed", reason="no kernel"))
    evaluation = tmp_path / "evaluation/small/float32"
    evaluation.mkdir(parents=True)
    about = {"dataset": "photos", "split": "test", "image": sorted(members), "gender": "male"}
    table = pd.DataFrame(about | {"gender_pred": "male", "gender_prob_male": 1.0, "gender_prob_female": 0.0})
    table.to_parquet(evaluation / "predictions.parquet", index=False)
    return Study.model_validate(study().model_dump(mode="json") | {"levels": {"float32": {}, "int8": {}}})


def test_every_variant_is_measured_three_ways(plan: Study, tmp_path: Path) -> None:
    found = harness.measured(plan, tmp_path).set_index("level")
    row = found.loc["float32"]
    assert (row["metric"], row["n"], row["proper"]) == ("gender_accuracy", 2, 1)
    assert 0 <= row["squeezed"] <= 1
    assert found.loc["int8", "reason"] == "failed: no kernel"
    assert "## Gender accuracy" in harness.page("photos", found.reset_index())


def test_a_missing_evaluation_is_an_error(plan: Study, tmp_path: Path) -> None:
    (tmp_path / "evaluation/small/float32/predictions.parquet").unlink()
    with pytest.raises(PocketfaceError, match="dvc repro evaluate"):
        harness.measured(plan, tmp_path)
