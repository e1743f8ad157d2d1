"""The whole job for one model, as a person sees it; and the commands of docs/your-model.md."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from own_models import trained, write_pictures
from pocketface.cards import MODEL_FILE, VariantCard, read_card
from pocketface.cli import app
from pocketface.core.outs import SOURCES
from pocketface.fetching.sources import load_sources
from pocketface.results.table import SIZE, Table
from pocketface.study import load_study

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which the commands of the page's first part have been run, and what they said."""
    folder = tmp_path_factory.mktemp("yours")
    write_pictures(folder, 60)
    trained().save(folder / "mine.keras")
    (folder / "data").mkdir()
    (folder / "studies").mkdir()
    shutil.copy(REPOSITORY / SOURCES, folder / SOURCES)
    command = "quantize mine.keras --data labels.csv --out quantized --study mine"
    command += " --levels mixed_int8,int8,dynamic_int8"
    program = [sys.executable, "-c", "from pocketface.cli import app; app()", *command.split()]
    result = subprocess.run(program, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    bars = re.fullmatch(r"([\r\n]|mine/\w+: .*face/s\])*", result.stderr)
    assert bars, result.stderr  # nothing else may stand beside the ten lines
    return folder, result.stdout.splitlines()


def test_it_says_what_it_assumed_in_ten_lines(done):
    _, lines = done
    assert len(lines) <= 10
    text = "\n".join(lines)
    assert "mine.keras: sees 32x32x3, answers probs (2)" in text
    assert "60 pictures, 0 not usable; labelled gender" in text
    assert "RGB: 0..255 9" in text and "BGR: 0..255" in text
    assert "pixels: RGB, 0..255" in text
    assert "gender = probs: probabilities of female, male (alphabetical, assumed)" in text
    assert "first table: quantized/table.md; minutes more for mixed_int8 (Ctrl-C keeps it)" in text
    assert "take " in lines[-3]


def test_it_leaves_files_with_cards_a_table_and_a_page(done):
    folder, _ = done
    found = json.loads((folder / "quantized/results.json").read_text())
    table = Table.read(folder / "quantized/results.parquet")
    assert table.levels("mine") == ["float32", "int8", "dynamic_int8", "mixed_int8"]
    assert found["taken"] in table.levels("mine")
    for level in table.levels("mine"):
        assert table.value("mine", level, "gender_accuracy", "pictures") > 0.8
        card = read_card(folder / "quantized" / level, VariantCard)
        assert card.outputs["gender"].labels == ("female", "male")
        assert (folder / "quantized" / level / MODEL_FILE).stat().st_size == table.value("mine", level, SIZE)
    assert f"| **{found['taken']}** |" in (folder / "quantized/table.md").read_text()
    assert "</table>" in (folder / "quantized/index.html").read_text()


def test_the_study_goes_on_from_there(done, monkeypatch):
    folder, _ = done
    monkeypatch.chdir(folder)
    study = load_study(Path("studies/mine.yaml"))
    assert study.holdout == "mine_test"
    assert study.models["mine"].own_heads["gender"].labels == ("female", "male")
    sources = load_sources()
    pictures = [sources.dataset(name).pictures for name in ("mine", "mine_test")]
    assert sum(pictures) == 60
    assert all(count % 3 == 0 for count in pictures), "the three pictures of a person stay together"
    with zipfile.ZipFile("data/archives/mine/files.zip") as archive:
        assert set(pd.read_csv(archive.open("labels.csv"))["split"]) == {"train", "test"}


def test_pictures_without_labels_measure_the_ranges(done, monkeypatch, tmp_path):
    folder, _ = done
    monkeypatch.chdir(folder)
    command = f"quantize mine.keras --data labels.csv --calibrate pictures --levels int8 --out {tmp_path}"
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 0, result.output
    assert "calibrated on 60, measured on 60" in result.stdout
    card = read_card(tmp_path / "int8", VariantCard)
    assert (card.status, card.calibration_faces) == ("ok", 60)
