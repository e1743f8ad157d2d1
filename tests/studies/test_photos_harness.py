import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import drawn_datasets as drawn
from colour_variants import card, variant_folder
from pocketface.cards import write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CLASSES, GENDERS
from pocketface.faces.settings import Input
from pocketface.metrics.naming import MISSING
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


def test_the_section_splits_a_loss_into_harness_and_quantization() -> None:
    about = {"model": "ages", "metric": "age_group_accuracy", "n": 20, "all": 24, "squeezed": 0.7}
    about |= {"misjudged": np.nan, "unfed": 0.5, "both": np.nan}
    lost = {"proper": 0.85, "swapped": 0.5, "p": 0.0156}
    rows = [
        about | {"level": "float32", "proper": 0.9, "swapped": 0.6, "p": 0.0312},
        *(about | {"level": level} | lost for level in ("dynamic_int8", "int8")),
        *({"model": "vgg", "level": level, "reason": "unavailable: gone"} for level in ("float32", "int8")),
    ]
    made = harness.section(pd.DataFrame(rows))
    lost = "loses 35 points to the harness and 1 of 20 photographs to quantization"
    assert made.title == f"Age group (surrogate network) {lost}"
    rows = [row | {"model": "deepface_age"} for row in rows[:2]]
    assert harness.section(pd.DataFrame(rows)).title == f"Age group {lost}"
    cells, minus = [[cell.text for cell in row] for row in made.table.cells], "\N{MINUS SIGN}"
    assert [row[2] for row in cells] == ["float32", "dynamic_int8, int8"], "equal rows are one"
    assert cells[0][3:] == [
        *("90.0", "70.0", "60.0", MISSING, "50.0", MISSING, "±0", f"{minus}30.0 (p = 0.031)")
    ]
    assert cells[1][-2:] == [f"{minus}5.0", f"{minus}35.0 (p = 0.016)"]
    text = " ".join(made.text)
    assert "one answer to all 24 photographs" in text and "leaves room for 15% of all" in text
    assert "one of them is 5.0 points" in text
    said = [text.get_text() for text in made.plot.axes[0].texts]
    assert said == ["quantization", "the harness", "age group 50.0"]


@pytest.fixture
def plan(tmp_path: Path, colour_model) -> Study:
    """Eight photographs, one of each kind; in four faces were found and the variant was right of all."""
    members = drawn.photos(8)
    drawn.make_raw(tmp_path / "data/raw/photos/files.zip", members)
    variants = tmp_path / "variants/small"
    variant_folder(variants / "float32", colour_model)
    (variants / "int8").mkdir()
    write_card(variants / "int8", card(level="int8", status="failed", reason="no kernel"))
    evaluation = tmp_path / "evaluation/small/float32"
    evaluation.mkdir(parents=True)
    ages, genders = ["young", "young", "elderly", "elderly"], ["male", "female"] * 2
    table = pd.DataFrame({"dataset": "photos", "split": "test", "image": sorted(members)[:4]})
    table = table.assign(age_group=ages, age_pred=[30.0, 30, 80, 80], gender=genders, gender_pred=genders)
    table = table.assign(gender_prob_male=[1.0, 0, 1, 0], gender_prob_female=[0.0, 1, 0, 1])
    table.to_parquet(evaluation / "predictions.parquet", index=False)
    return Study.model_validate(study().model_dump(mode="json") | {"levels": {"float32": {}, "int8": {}}})


def test_every_mistake_of_the_report_is_planted_and_measured(plan: Study, tmp_path: Path) -> None:
    found = harness.measured(plan, tmp_path)
    rows = found.dropna(subset="metric").set_index("metric")
    assert list(rows.index) == ["age_group_accuracy", "gender_accuracy"]
    assert (rows["n"] == 4).all() and (found["all"] == 8).all() and (rows["proper"] == 1).all()
    gender, age = rows.loc["gender_accuracy"], rows.loc["age_group_accuracy"]
    assert 0 <= gender["squeezed"] <= 1 and 0 <= gender["p"] <= 1
    assert gender["unfed"] == age["unfed"] == gender["both"] == 0.5, "one answer, half of each class"
    assert gender["misjudged"] == 0.5, "right answers, but of four photographs two are of the same place"
    assert np.isnan(age["misjudged"]) and np.isnan(age["both"])
    assert found.set_index("level").loc["int8", "reason"] == "failed: no kernel"


def test_right_genders_judged_by_age_are_right_where_the_places_agree() -> None:
    table = pd.DataFrame({"age_group": ["young", "elderly", None], "gender": "male", "gender_pred": "male"})
    young, elderly = (GENDERS[CLASSES["age_group"].index(group)] for group in ("young", "elderly"))
    assert harness.judged_by_age(table)["gender"].tolist()[:2] == [young, elderly]
    assert "gender" not in harness.judged_by_age(table.drop(columns="age_group"))


def test_a_missing_evaluation_is_an_error(plan: Study, tmp_path: Path) -> None:
    (tmp_path / "evaluation/small/float32/predictions.parquet").unlink()
    with pytest.raises(PocketfaceError, match="dvc repro evaluate"):
        harness.measured(plan, tmp_path)
