import json
import re
import shutil

import cv2
import pandas as pd
import pytest
import yaml

from fake_outs import FAILED, LEVELS, REASON, STUDY, write_outs, write_timing
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CLASSES, FAIRFACE_RACES
from pocketface.reporting.report import confusion_counts, write_report
from private_files import names_in, plant, strangers

NAME = r"[a-z]\w*"
WRITTEN = (
    r"index\.html|comparison\.md|(changes|metrics|timings)\.json",
    rf"figures/{NAME}/{NAME}\.json",
    rf"confusion/{NAME}/{NAME}\.csv",
    rf"plots/(overview|{NAME}_size)\.png|latency/(utkface|fer2013)_{NAME}\.png",
    rf"plots/{NAME}/(curves|(calibration|confusion|groups|group_changes)_{NAME})\.png",
)
"""Every file of a report."""
TIMED = ("index.html", "comparison.md", "timings.json", "latency")


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A study's outs with its report."""
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    write_report(outs.study, outs.root)
    return outs


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_metrics_are_flat_per_variant_and_hold_no_timings(reported):
    metrics = json.loads((reported.root / "reports/tiny/metrics.json").read_text())
    assert metrics[FAILED[0]][FAILED[1]] == {"status": "failed", "reason": REASON}
    int8 = metrics["age_gender"]["int8"]
    assert int8["size_bytes"] == 331_000 and int8["photos.n"] == 18
    assert {"utkface.age_mae", "utkface.gender_accuracy", "photos.age_group_accuracy"} <= set(int8)
    assert not re.search(r"_ms|latency|ratio", json.dumps(metrics))


def test_a_report_holds_what_is_listed_no_names_of_pictures_and_no_path(tmp_path):
    outs, folder = write_outs(tmp_path), tmp_path / "reports/tiny"
    left = [folder / part for part in ("plots", "plots/age_gender", "latency", "confusion", "figures")]
    plant(tmp_path, *left, *(tmp_path / f"{part}/age_gender/int8" for part in ("variants", "evaluation")))
    write_report(outs.study, outs.root)
    found = names_in(folder)
    assert not strangers(found, WRITTEN)
    assert all(strangers(found, [pattern]) != found for pattern in WRITTEN)
    texts = [(folder / name).read_text() for name in found if not name.endswith(".png")]
    assert not [text for text in texts if re.search(r"\b\d+\.jpg|data:image/(jpeg|webp)", text)]
    assert not [text for text in texts if str(tmp_path) in text or text == "private"]


def test_a_variants_main_figures_have_a_file_for_dvc(reported):
    folder = reported.root / "reports/tiny/figures"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")} == {
        f"{model}/{level}.json"
        for model in ("age_gender", "expression")
        for level in LEVELS
        if (model, level) != FAILED
    }
    int8 = json.loads((folder / "age_gender/int8.json").read_text())
    assert set(int8) == {"utkface.age_mae", "utkface.gender_accuracy", "photos.gender_accuracy", "size_kb"}
    assert int8["size_kb"] == 331


def test_an_age_of_which_bands_alone_are_known_is_told_by_their_accuracy(tmp_path):
    params = yaml.safe_load(yaml.safe_dump(STUDY).replace("utkface", "fairface"))
    outs = write_outs(tmp_path, params, faces=200)
    write_report(outs.study, outs.root)
    folder = tmp_path / "reports/tiny"
    told = json.loads((folder / "figures/age_gender/int8.json").read_text())
    assert set(told) == {"fairface.age_band_accuracy", "fairface.gender_accuracy", "size_kb"}
    text = (folder / "comparison.md").read_text()
    groups = [line.split("|")[1].strip() for line in text.splitlines() if line.count("|") > 3]
    assert {race for race in groups if race in CLASSES["race"]} == set(FAIRFACE_RACES)


def test_the_comparison_tells_all_that_it_should(reported):
    folder = reported.root / "reports/tiny"
    text = (folder / "comparison.md").read_text()
    assert REASON.replace("|", r"\|") in text
    assert "binary annotation of appearance" in text
    assert "terms of fer2013" in text
    assert "Imagined CPU, 2 cores" in text
    assert "fer2013 (50% of its pictures)" in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures and all((folder / picture).is_file() for picture in pictures)
    assert set(pictures) == {name for name in contents(folder) if name.endswith(".png")}


def test_changes_are_written_with_interval_and_verdict(reported):
    changes = json.loads((reported.root / "reports/tiny/changes.json").read_text())
    assert set(changes["age_gender"]) == {"float16", "int8"} and "int8" not in changes["expression"]
    mae = changes["age_gender"]["int8"]["utkface.age_mae"]
    assert mae["interval"][0] < mae["change"] < mae["interval"][1]
    assert (mae["verdict"], mae["p_value"]) == ("real", None)
    assert 0 <= changes["age_gender"]["int8"]["utkface.gender_accuracy"]["p_value"] <= 1


def test_levels_that_answered_other_faces_are_not_compared(tmp_path):
    outs = write_outs(tmp_path)
    path = tmp_path / "evaluation/age_gender/float16/predictions.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    with pytest.raises(PocketfaceError, match=r"float16.*other faces of utkface than float32.*dvc repro"):
        write_report(outs.study, tmp_path)


def test_pictures_are_drawn(reported):
    for path in (reported.root / "reports/tiny").rglob("*.png"):
        picture = cv2.imread(str(path))
        assert picture.shape[1] > 500 and picture.std() > 5
    assert (reported.root / "reports/tiny/plots/overview.png").is_file()


def test_answers_are_written_for_dvc_plots(reported):
    folder = reported.root / "reports/tiny/confusion"
    pairs = pd.read_csv(folder / "age_gender/gender_int8.csv")
    assert list(pairs) == ["actual", "predicted"] and len(pairs) == 240
    assert not (folder / "expression/expression_int8.csv").exists()


def test_only_timings_change_the_bytes(reported, tmp_path):
    shutil.copytree(reported.root, tmp_path / "again")
    shutil.rmtree(tmp_path / "again/reports")
    for model in reported.study.models:
        for level in LEVELS:
            write_timing(model, level, tmp_path / "again", ms=3.7)
    first = contents(reported.root / "reports/tiny")
    second = contents(write_report(reported.study, tmp_path / "again"))
    different = {name for name in first | second if first.get(name) != second.get(name)}
    assert different == {name for name in first if name.startswith(TIMED)}


def test_the_report_stands_without_timings_and_names_what_else_is_missing(tmp_path):
    outs = write_outs(tmp_path)
    shutil.rmtree(tmp_path / "timings")
    folder = write_report(outs.study, tmp_path)
    assert "Not measured" in (folder / "comparison.md").read_text()
    assert not list((folder / "latency").iterdir())
    before = contents(folder)
    (tmp_path / "evaluation/expression/float16/metrics.json").unlink()
    with pytest.raises(
        PocketfaceError, match=r"expression/float16/metrics\.json.*dvc repro evaluate@expression-f"
    ):
        write_report(outs.study, tmp_path)
    assert contents(folder) == before


def test_confusion_rows_are_the_truth():
    pair = pd.DataFrame({"actual": ["male", "male", "female"], "predicted": ["male", "female", "female"]})
    assert confusion_counts(pair, ("male", "female", "other")).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
