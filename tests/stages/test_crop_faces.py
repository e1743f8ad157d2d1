import runpy
import sys
from pathlib import Path

import pytest
import yaml

import drawn_datasets as drawn
from pocketface.faces.index import FaceSet

STAGE = Path(__file__).parents[2] / "stages/crop_faces.py"
STUDY = {
    "study": "tiny",
    "seed": 1,
    "threads": 1,
    "benchmark": {},
    "datasets": {
        "fer2013": {"crop": {"policy": "as_is", "size": 48, "channels": 1}},
        "photos": {"crop": {"policy": "largest", "size": 48}},
    },
    "holdout": "photos",
    "models": {},
    "levels": {},
}


def run(*args: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["crop_faces.py", *args])
    runpy.run_path(str(STAGE), run_name="__main__")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(STUDY))
    drawn.make_raw(Path("data/raw/fer2013/files.zip"), drawn.fer2013(10))
    return tmp_path


def test_it_crops_counts_and_shows(repository: Path, monkeypatch, capsys) -> None:
    run("fer2013", "--workers", "1", "--contact-sheet", monkeypatch=monkeypatch)
    assert len(FaceSet.load(repository / "data/faces/fer2013").rows()) == 10
    printed = capsys.readouterr().out
    assert "train" in printed and "ok" in printed
    assert "wrote data/contact_sheets/fer2013-accepted.png" in printed


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["mnist"], "params.yaml: no 'mnist' under `datasets`; there are fer2013, photos"),
        (["photos"], "data/raw/photos/files.zip"),
    ],
)
def test_bad_input_ends_in_a_line(
    args: list[str], message: str, repository: Path, monkeypatch, capsys
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*args, monkeypatch=monkeypatch)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
