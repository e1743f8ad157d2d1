"""Records are made of outs that are written by hand, in the layout that the stages write."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pocketface.cards import ModelCard, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import GENDERS, Output
from pocketface.reporting.architectures import save
from pocketface.reporting.records import comment_of, make_record, read_records, read_sweep
from pocketface.study import Study
from tiny import CROP, face_set, study

ABOUT = "Two widths.\n\n  dvc repro train\n  python stages/architectures.py\n\nExpected: little."
OUTPUTS = {"age": Output(kind="number", unit="years"), "gender": Output(kind="classes", labels=GENDERS)}
HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1],
        "loss": [3.0, 2.0],
        "age_mae": [14.0, 9.5],
        "gender_accuracy": [0.6, 0.85],
        "val_loss": [3.1, 2.2],
        "val_age_mae": [15.0, 10.25],
        "val_gender_accuracy": [0.5, 0.8125],
    }
)


def two_widths(**changes: object) -> Study:
    """The small model, and a wider one on larger pictures; `changes` of the whole study."""
    params = study().model_dump(mode="json")
    small = params["models"]["small"] | {"heads": ["gender", "age"]}  # a card sorts them
    wide = small | {"options": {**small["options"], "widths": [32, 64]}, "input": {"size": 24}}
    return Study.model_validate(params | {"models": {"wide": wide, "small": small}} | changes)


def write_outs(root: Path, of: Study) -> None:
    faces = face_set(train=40, val=16)
    folder = root / "data/faces/utkface"
    folder.mkdir(parents=True)
    np.save(folder / "faces.npy", faces.pixels)
    faces.index.to_parquet(folder / "index.parquet")
    (folder / "crop.json").write_text(json.dumps({"dataset": "utkface", "crop": CROP.model_dump()}))
    for name in of.models:
        write_model(root / "models" / name, of, name)


def write_model(folder: Path, of: Study, name: str, history: pd.DataFrame = HISTORY) -> None:
    stanza = of.models[name]
    made = {"backend": "tensorflow", "tensorflow": "2.0", "seed": 1, "faces": 40}
    card = ModelCard(
        model=name,
        architecture=stanza.architecture,
        options=stanza.options,
        dataset="utkface",
        licence="none",
        crop=CROP,
        input=stanza.input,
        outputs=OUTPUTS,
        parameters=12_345,
        trainable_parameters=12_000,
        macs=2_340_000,
        training=stanza.training.model_dump(mode="json") | made,
    )
    folder.mkdir(parents=True)
    write_card(folder, card)
    history.to_csv(folder / "history.csv", index=False)


def write_folds(folder: Path) -> None:
    def figures(mean: float) -> dict[str, dict[str, float]]:
        return {f"gender_{kind}": {"mean": mean, "std": 0.0125} for kind in ("accuracy", "weighted_f1")}

    folder.mkdir(parents=True)
    found = {"model": figures(0.9), "majority": figures(0.55), "minority": figures(0.45)}
    (folder / "metrics.json").write_text(json.dumps(found))
    pd.concat([HISTORY.assign(fold=0), 1.1 * HISTORY.assign(fold=1)]).assign(epoch=[0, 1] * 2).to_csv(
        folder / "history.csv", index=False
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_outs(tmp_path, two_widths())
    return tmp_path


def test_a_section_tells_conditions_commands_and_a_row_a_model(root: Path) -> None:
    record, curves = make_record(two_widths(), root, ABOUT)
    page = save(record, curves, root / "out").read_text()
    assert "```sh\ndvc repro train\npython stages/architectures.py\n```\n\nExpected: little." in page
    assert "utkface: 40 train faces, 16 to validate on. Seed 1, 1 threads, tensorflow 2.0." in page
    assert "All models: architecture compact, depths [1, 1], dropout 0.0, epochs 2, batch size 16" in page
    assert "|  | widths | pixels | parameters | trained | MACs, millions | gender accuracy (%) |" in page
    assert "| wide | [32, 64] | 24 | 12,345 | 12,000 | 2.3 | 81.2 | 10.25 |\n| small | [8, 16] | 16 |" in page
    assert "![Learning curves of tiny](curves/tiny.png)" in page
    assert (root / "out/curves/tiny.png").stat().st_size > 1000


def test_references_are_measured_on_the_same_faces(root: Path) -> None:
    record, _ = make_record(two_widths(), root)
    faces = face_set(train=40, val=16)
    val, train = faces.rows("val"), faces.rows("train")
    majority = record.references["utkface"]["majority"]
    assert majority["age_mae"] == pytest.approx((val["age"] - train["age"].median()).abs().mean())
    commonest = train["gender"].value_counts().idxmax()
    assert majority["gender_accuracy"] == pytest.approx((val["gender"] == commonest).mean())
    assert set(record.references["utkface"]["minority"]) == {"gender_accuracy"}


def test_studies_gather_on_one_page_whose_bytes_repeat(root: Path) -> None:
    for name in ("later", "earlier", "later"):
        record, curves = make_record(two_widths(study=name), root)
        save(record, curves, root / "out")
    page = (root / "out/README.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## earlier", "## later"]
    pages = {path: path.read_bytes() for path in (root / "out").rglob("*") if path.is_file()}
    save(record, curves, root / "out")
    assert all(path.read_bytes() == content for path, content in pages.items())


def test_folds_show_their_spread_beside_the_better_of_not_looking(root: Path) -> None:
    write_folds(root / "folds/small")
    record, curves = make_record(two_widths(), root)
    assert set(curves["small"]["fold"]) != set() and "fold" not in curves["wide"]
    page = save(record, curves, root / "out").read_text()
    assert "### small, cross-validated" in page
    assert "| gender | 90.0 ± 1.2 | 55.0 | 90.0 ± 1.2 | 55.0 |" in page


def test_a_model_that_was_not_trained_is_named(root: Path) -> None:
    shutil.rmtree(root / "models/wide")
    record, curves = make_record(two_widths(), root)
    assert "Not trained: wide." in save(record, curves, root / "out").read_text()
    shutil.rmtree(root / "models/small")
    with pytest.raises(PocketfaceError, match="none of the study's models; run `dvc repro train`"):
        make_record(two_widths(), root)


def test_outs_of_other_params_are_refused(root: Path) -> None:
    params = two_widths().model_dump(mode="json")
    params["models"]["wide"]["training"]["learning_rate"] = 0.5
    with pytest.raises(
        PocketfaceError, match=r"wide: not of this study's params; run `dvc repro train@wide`"
    ):
        make_record(Study.model_validate(params), root)


def test_curves_without_validation_are_refused(root: Path) -> None:
    shutil.rmtree(root / "models/wide")
    write_model(root / "models/wide", two_widths(), "wide", HISTORY.filter(regex="^(?!val)"))
    with pytest.raises(PocketfaceError, match="wide: was trained without validation"):
        make_record(two_widths(), root)


def test_a_training_that_was_stopped_early_is_refused(root: Path) -> None:
    params = two_widths().model_dump(mode="json")
    params["models"]["small"]["training"]["watch"] = {"patience": 2}
    stopped = Study.model_validate(params)
    shutil.rmtree(root / "models/small")
    write_model(root / "models/small", stopped, "small")
    with pytest.raises(PocketfaceError, match=r"watch.patience: the weights are then not those of the last"):
        make_record(stopped, root)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"study": "old"}')
    with pytest.raises(PocketfaceError, match=r"old.json: not a record, remove it or make it again"):
        read_records(tmp_path)


def test_the_comment_ends_at_the_first_setting(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("# What it is.\n#\n#   dvc repro\nstudy: x # not this\n# nor this\n")
    assert comment_of(path) == "What it is.\n\n  dvc repro"


def write_sweep(path: Path, rows: list[dict]) -> Path:
    """Some columns of what DVC 3.67 writes."""
    fixed = {"Created": "01:51 PM", "majority.gender_accuracy.mean": 0.5, "models.small.training.epochs": 2}
    figures = {"model.gender_accuracy.std": 0.01, "models.small.heads": "['gender']", "models/small": "5f3e"}
    pd.DataFrame([fixed | figures | row for row in rows]).to_csv(path, index=False)
    return path


def experiment(typ: str, f1: int, accuracy: float | None) -> dict:
    return {"typ": typ, "models.small.options.f1": f1, "model.gender_accuracy.mean": accuracy}


def test_a_sweep_is_a_row_an_experiment(root: Path) -> None:
    rows = [
        experiment("baseline", 4, 0.7),
        experiment("branch_commit", 8, 0.8125),
        experiment("branch_commit", 16, None),
        experiment("branch_base", 4, 0.75),
    ]
    path = write_sweep(root / "sweep.csv", rows)
    assert read_sweep(path) == [
        {"models.small.options.f1": 4, "gender_accuracy": 0.75},
        {"models.small.options.f1": 8, "gender_accuracy": 0.8125},
    ]
    record, curves = make_record(two_widths(), root, sweep=path)
    page = save(record, curves, root / "out").read_text()
    assert "| f1 | gender accuracy (%) |\n| --: | --: |\n| 4 | 75.0 |\n| 8 | 81.2 |" in page
    assert "| wide |" not in page


def test_a_table_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PocketfaceError, match="not what `dvc exp show --csv` writes"):
        read_sweep(tmp_path / "other.csv")
    path = write_sweep(tmp_path / "sweep.csv", [experiment("branch_base", 4, None)])
    with pytest.raises(PocketfaceError, match=r"no experiment with folds/MODEL/metrics.json"):
        read_sweep(path)
