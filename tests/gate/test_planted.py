"""Real regressions, planted in a small real model that the real code converts and evaluates."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from colour_net import OUTPUTS, SIDE, colour_model, painted, write_variants
from colour_variants import variant_folder
from fake_outs import STUDY, Outs, write_results
from pocketface.cards import MODEL_FILE, VariantCard, read_card, write_card
from pocketface.core.files import write_json
from pocketface.core.labels import GENDERS, Output
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.faces.selection import PIXELS, ROWS
from pocketface.gate import Verdict, check, update
from pocketface.results.table import Table
from pocketface.study import Study

MADE = ("float32", "int8")
PLAN = Study.model_validate(
    STUDY
    | {
        "models": {"small": STUDY["models"]["age_gender"] | {"input": {"size": SIDE}}},
        "levels": {level: {} for level in MADE},
    }
)


def noise(count: int) -> np.ndarray:
    shape = (count, SIDE, SIDE, 3)
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def measure(root: Path, plan: Study = PLAN) -> None:
    """The stages `evaluate` and `results`, as far as `check` reads them."""
    for level in plan.levels:
        run, predictions = evaluate_variant(root / "variants/small" / level, root / "data/views/small")
        write_json(root / "evaluation/small" / level / "run.json", run)
        predictions.to_parquet(root / "evaluation/small" / level / "predictions.parquet")
    write_results(Outs(plan, root))


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    """A study below a folder: two variants, the faces, a report and its baseline, which it passes."""
    root = tmp_path_factory.mktemp("healthy")
    pixels, rows = painted()
    (root / "data/views/small").mkdir(parents=True)
    np.save(root / "data/views/small" / PIXELS, pixels)
    rows.assign(face=rows["face"].astype("Int64")).to_parquet(root / "data/views/small" / ROWS)
    write_variants(root, colour_model(), pixels, MADE)
    weights = root / "models/small/model.weights.h5"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"the weights that colour_model sets")
    measure(root)
    assert update(PLAN, root).passed
    assert 0.85 < Table.load(root).value("small", "int8", "gender_accuracy", "utkface") < 0.95
    return root


@pytest.fixture
def planted(healthy, tmp_path) -> Callable[[Callable[[Path], None]], Verdict]:
    """Plants something in a copy of the study, measures again, and checks."""

    def plant(change: Callable[[Path], None]) -> Verdict:
        shutil.copytree(healthy, tmp_path, dirs_exist_ok=True)
        change(tmp_path)
        measure(tmp_path)
        return check(PLAN, tmp_path)

    return plant


def found(verdict: Verdict) -> dict[str, set[str]]:
    """`MODEL/LEVEL` or what else is wrong -> the rules that say so."""
    assert not verdict.passed
    places: dict[str, set[str]] = {}
    for one in verdict.wrong:
        places.setdefault(one.where, set()).add(one.rule)
    return places


def test_nothing_planted_passes(planted):
    assert planted(lambda root: None).passed


def test_mislabelled_classes_are_named(planted):
    def swap_labels(root: Path) -> None:
        for level in MADE:
            folder = root / "variants/small" / level
            outputs = OUTPUTS | {"gender": Output(kind="classes", labels=GENDERS[::-1])}
            card = read_card(folder, VariantCard).model_copy(update={"outputs": outputs})
            variant_folder(folder, folder / MODEL_FILE, card)

    verdict = planted(swap_labels)
    assert verdict.look_at == "train", "where a model gets its classes"
    for level in MADE:
        rules = found(verdict)[f"small/{level}"]
        assert {"classes gender", "moved gender", "utkface gender_accuracy"} <= rules
        assert not [rule for rule in rules if "age" in rule], "the age is as it was"


def test_red_and_blue_swapped_are_named(planted):
    def swap_colours(root: Path) -> None:
        path = root / "data/views/small" / PIXELS
        np.save(path, np.load(path)[..., ::-1])

    verdict = planted(swap_colours)
    assert found(verdict)["small on utkface"] == {"pixels"} and verdict.look_at == "select_faces"
    assert " of 150 faces look otherwise" in verdict.text()
    assert "first and last channel are swapped" in verdict.text()


def test_normalisation_twice_is_named(planted):
    verdict = planted(lambda root: write_variants(root, colour_model(rescalings=2), painted()[0], MADE))
    assert verdict.look_at == "export", "the weights are the same, and the float32 file is not"
    assert {"moved age", "moved gender", "utkface age_mae"} <= found(verdict)["small/float32"]


def test_calibration_on_noise_is_named(planted):
    verdict = planted(lambda root: write_variants(root, colour_model(), noise(100), MADE))
    assert verdict.look_at == "convert" and set(found(verdict)) == {"small/int8"}
    assert {"moved age", "agreement age", "utkface age_mae"} <= found(verdict)["small/int8"]


def test_a_level_that_is_a_training_of_its_own_is_judged_as_one(planted):
    def search(root: Path) -> None:
        write_variants(root, colour_model(), painted()[0][::2], MADE)
        folder = root / "variants/small/int8"
        write_card(folder, read_card(folder, VariantCard).model_copy(update={"maker": "finetuning"}))

    assert found(planted(search)) == {"small/int8": {"maker"}}, "other ranges, and ages that differ a little"


def test_a_truncated_file_is_named_with_its_reason(planted):
    def truncate(root: Path) -> None:
        path = root / "variants/small/int8/model.tflite"
        path.write_bytes(path.read_bytes()[:-2000])

    verdict = planted(truncate)
    assert found(verdict) == {"small/int8": {"variant"}} and verdict.look_at == "convert"
    assert "is failed: damaged, or not the file that card.json describes" in verdict.text()


def test_a_variant_that_is_gone_is_named(healthy, tmp_path):
    shutil.copytree(healthy, tmp_path, dirs_exist_ok=True)
    fewer = PLAN.model_copy(update={"levels": {"float32": PLAN.levels["float32"]}})
    measure(tmp_path, fewer)
    verdict = check(fewer, tmp_path)
    assert [str(one) for one in verdict.wrong] == ["small/int8: is gone"]
