"""The commands and links of the README and the pages behind it."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from pocketface.cli import app

REPOSITORY = Path(__file__).parents[2]
FOLDERS = ("", "docs/", "data/", "weights/", "research/", "benchmarks/")
PAGES = sorted(
    str(page.relative_to(REPOSITORY)) for part in FOLDERS for page in (REPOSITORY / part).glob("*.md")
)
LINK = re.compile(r"\]\(([^)#\s]+)")
COMMAND = re.compile(r"^(?:\w+=\S+ )?(?:uv run )?pocketface (?P<arguments>[^#&|;\n]*)", re.MULTILINE)


def text(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in LINK.findall(text(page)):
        if "://" not in link:
            assert (REPOSITORY / page).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_spelt_right(page):
    """Each is parsed by the command line itself, and not run."""
    scripts = re.findall(r"^```sh\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)
    for found in COMMAND.finditer("\n".join(scripts)):
        command, arguments = typer.main.get_command(app), shlex.split(found["arguments"])
        while isinstance(command, TyperGroup):
            command = command.commands[arguments.pop(0)]
        command.make_context(command.name, arguments).close()


def test_the_page_of_studies_names_every_study():
    table = text("docs/studies.md").partition("| study | what |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines() if "|" in line]
    named = set(re.findall(r"`(\w+)`", "".join(first)))
    assert named == {path.stem for path in (REPOSITORY / "studies").glob("*.yaml")}


def test_the_tree_of_the_library_is_that_of_its_folder():
    tree = text("CONTRIBUTING.md").partition("src/pocketface/ ")[2].partition("\nbenchmarks/")[0]
    lines = [line.strip().partition("  ")[0] for line in tree.splitlines()[1:]]
    found = {path.name.rstrip("/") for path in (REPOSITORY / "src/pocketface").iterdir()}
    found -= {"__init__.py", "__pycache__", "py.typed"}
    assert {
        word.rstrip("/") for line in lines for word in line.split(" ") if word[-1] == "/" or ".py" in word
    } == found


def test_the_readme_is_short():
    assert text("README.md").count("\n") <= 120


def test_the_readme_starts_with_the_two_commands():
    section = text("README.md").partition("## Two commands")[2]
    first = re.search(r"```sh\n(.*?)```", section, re.S)
    assert first is not None
    assert re.findall(r"^uv run (\w+(?: \w+)?)", first[1], re.M) == ["pocketface run", "pytest"]
    ci = (REPOSITORY / ".ci/run").read_text(encoding="utf-8")
    for command in ("pocketface run", "pytest"):
        assert f"uv run --locked {command}\n" in ci or f"uv run --locked {command} " in ci
