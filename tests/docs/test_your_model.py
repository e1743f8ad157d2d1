"""Runs the commands of docs/your-model.md, in the order of the page, with files of the names that it uses."""

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from own_models import onnx_file, trained, write_pictures
from pocketface.cli import app
from pocketface.core.outs import SOURCES
from pocketface.training.settings import Model

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/your-model.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the page's reader has."""
    folder = tmp_path_factory.mktemp("reader")
    write_pictures(folder, 40)
    trained().save(folder / "mine.keras")
    onnx_file(folder / "mine.onnx", outputs={"output": 2})
    for name in ("no", "yes"):
        (folder / "classes" / name).mkdir(parents=True)
    for number, picture in enumerate(sorted((folder / "pictures").iterdir())):
        shutil.copy(picture, folder / "classes" / ("no", "yes")[number % 2])
    (folder / "data").mkdir()
    (folder / "studies").mkdir()
    shutil.copy(REPOSITORY / SOURCES, folder / SOURCES)
    return folder


def commands() -> list[str]:
    """All but the one that runs the pipeline."""
    found = re.findall(r"^pocketface .*$", PAGE, re.MULTILINE)
    return [command for command in found if not command.startswith("pocketface run")]


def test_every_command_works(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(commands()) == 5
    for number, command in enumerate(commands()):
        arguments = shlex.split(command)[1:]
        if "--head" in arguments:  # a model that answers something else, for pictures labelled with that
            table = pd.read_csv("labels.csv").rename(columns={"gender": "mask"})
            table.replace({"mask": {"male": "no", "female": "yes"}}).to_csv("labels.csv", index=False)
        if arguments[0] == "quantize":  # what a level takes is tested elsewhere
            arguments += ["--levels", "float32"]
        # The page adds `mine` twice: by the study, and by hand.
        arguments = [f"mine{number}" if word == "mine" else word for word in arguments]
        arguments = ["classes/" if word == "pictures/" else word for word in arguments]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_the_stanza_is_one():
    block = next(text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "fetched:" in text)
    stanza = yaml.safe_load(block.replace("0123…", "f" * 64))["fetched"]["mine"]
    model = Model.model_validate(stanza)
    assert model.own_heads["mask"].labels == ("no", "yes")
    assert model.heads == ["gender", "age", "mask"]
