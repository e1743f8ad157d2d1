"""What a stage depends on in dvc.yaml covers everything of ours that its script imports."""

import re
from pathlib import Path

import grimp
import pytest
import yaml

import pocketface
from pocketface.core.imports import closure

SOURCE = Path(pocketface.__file__).parent
REPOSITORY = SOURCE.parents[1]
STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
SCRIPTS = sorted(REPOSITORY.glob("stages/*.py"))
BY_NAME = {
    "train": "models/${item.architecture}.py",
    "cross_validate": "models",
    "export": "models",
    "fetch_weights": "models",
    "crop_faces": "datasets",
}
"""Stage -> what it imports by its name in the params, which no reading of the sources finds."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("pocketface", exclude_type_checking_imports=True, cache_dir=None)


def upstream(graph: grimp.ImportGraph, modules: set[str]) -> set[str]:
    """These modules and all that importing them imports, the packages above them included."""
    done: set[str] = set()
    todo = modules & graph.modules
    while todo:
        module = todo.pop()
        done.add(module)
        above = {module.rpartition(".")[0]} & graph.modules
        todo |= (graph.find_modules_directly_imported_by(module) | above) - done
    return done


def module_of(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_files_of_a_script_are_those_that_grimp_finds(script: Path, graph: grimp.ImportGraph) -> None:
    named = set(re.findall(r"(?:from|import) (pocketface[.\w]*)", script.read_text()))
    named |= {
        f"{module}.{name}"
        for module, names in re.findall(r"from (pocketface[.\w]*) import ([\w, ]+)", script.read_text())
        for name in names.split(", ")
    }
    files = closure(script, SOURCE)
    found = {module_of(file) for file in files if file.suffix == ".py" and file != script}
    assert found == upstream(graph, named)
    assert script in files


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "imports"])
def test_a_stage_depends_on_the_code_of_its_script(stage: str) -> None:
    about = STAGES[stage].get("do", STAGES[stage])
    script = re.match(r"python stages/(\w+)\.py", about["cmd"])
    assert script and f"data/imports/{script[1]}.json" in about["deps"]
    if named := BY_NAME.get(stage.removesuffix("_fetched")):
        assert f"src/pocketface/{named}" in about["deps"]


def test_settings_labels_and_templates_decide_what_is_built() -> None:
    """The defaults of a recipe and the order of classes are dependencies of every training."""
    train, report = (
        {file.relative_to(REPOSITORY).as_posix().removeprefix("src/pocketface/") for file in files}
        for files in (closure(REPOSITORY / f"stages/{name}.py", SOURCE) for name in ("train", "report"))
    )
    assert {"training/settings.py", "core/labels.py", "layers/heads.py", "models/__init__.py"} <= train
    assert "report/template/page.html.j2" in report
    assert not {file for file in train if file.startswith(("report/", "models/compact"))}


def test_an_import_for_type_checkers_alone_is_none(tmp_path: Path) -> None:
    package = tmp_path / "thing"
    for name, code in {
        "__init__": "",
        "a": "import typing\nif typing.TYPE_CHECKING:\n    import thing.b\nelse:\n    import thing.c",
        "b": "",
        "c": "def later():\n    from thing import d",
        "d": "",
    }.items():
        package.mkdir(exist_ok=True)
        (package / f"{name}.py").write_text(code)
    script = tmp_path / "script.py"
    script.write_text("import os, thing.a")
    assert [file.stem for file in closure(script, package)] == ["script", "__init__", "a", "c", "d"]
