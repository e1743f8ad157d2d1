"""The commands of README and docs/predict.md for using models, on outs like those of the first run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import drawn_datasets as drawn
from colour_variants import variant_folder
from pocketface.published import folder as published

REPOSITORY = Path(__file__).parents[2]
PAGES = "".join((REPOSITORY / page).read_text(encoding="utf-8") for page in ("README.md", "docs/predict.md"))
FOUND = re.findall(r"^uv run (pocketface (?:predict|evaluate) [^#\n]+)", PAGES, re.MULTILINE)
COMMANDS = list(dict.fromkeys(command.strip() for command in FOUND))


@pytest.fixture
def place(tmp_path: Path, colour_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo, a folder of them, labels, and two variants that answer the same."""
    photo = drawn.jpeg(drawn.scene(drawn.people(1)[0]))
    (tmp_path / "holiday").mkdir()
    for name in ("photo.jpg", "holiday/one.jpg"):
        (tmp_path / name).write_bytes(photo)
    (tmp_path / "labels.csv").write_text("path,age,gender\nphoto.jpg,30,male\nholiday/one.jpg,30,male\n")
    for name in ("age_gender", "expression"):
        variant_folder(tmp_path / f"variants/{name}/int8", colour_model, level="int8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_commands():
    assert len(COMMANDS) > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works_and_prints_sentences_only(place, command):
    program = [sys.executable, "-c", "from pocketface.cli import app; app()", *shlex.split(command)[1:]]
    done = subprocess.run(program, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert all(line.startswith("note: ") for line in done.stderr.splitlines()), done.stderr
    assert str(published()) in done.stderr or "evaluate" in command
