"""What a stage declares in dvc.yaml covers everything of ours that its script imports."""

import ast
import re
from pathlib import Path

import grimp
import pytest
import yaml

import pocketface

SOURCE = Path(pocketface.__file__).parent
REPOSITORY = SOURCE.parents[1]
STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
BY_NAME = {
    "train": "models",
    "cross_validate": "models",
    "export": "models",
    "fetch_weights": "models",
    "crop_faces": "datasets",
}
"""Stage -> the package of which it imports a module by its name in the params."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("pocketface", exclude_type_checking_imports=True, cache_dir=None)


def declared(stage: dict) -> tuple[str, list[str]]:
    """A stage's script and its dependencies, patterns for what is filled in."""
    about = stage.get("do", stage)
    script = re.fullmatch(r"python (stages/\w+\.py).*", about["cmd"])
    assert script, about["cmd"]
    return script[1], [re.sub(r"\\\$\\\{.*?\\\}", r"[^/]+", re.escape(path)) for path in about["deps"]]


def imported(script: Path) -> set[str]:
    """The modules of ours that a script names."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pocketface"):
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def closure(graph: grimp.ImportGraph, modules: set[str]) -> set[str]:
    """These modules and all that importing them imports, the packages above them included."""
    done: set[str] = set()
    todo = {module for module in modules if module in graph.modules}
    while todo:
        module = todo.pop()
        done.add(module)
        above = {module.rpartition(".")[0]} & graph.modules
        todo |= (graph.find_modules_directly_imported_by(module) | above) - done
    return done - {"pocketface"}


def file_of(module: str) -> str:
    path = SOURCE.joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_that_its_script_imports(stage: str, graph: grimp.ImportGraph) -> None:
    script, dependencies = declared(STAGES[stage])
    files = {script, *map(file_of, closure(graph, imported(REPOSITORY / script)))}
    if package := BY_NAME.get(stage.removesuffix("_fetched")):
        files |= {path.relative_to(REPOSITORY).as_posix() for path in (SOURCE / package).glob("*.py")}
    missing = {file for file in files if not any(re.match(rf"{path}(/|$)", file) for path in dependencies)}
    assert not missing


def test_a_missing_dependency_would_be_seen(graph: grimp.ImportGraph) -> None:
    train = closure(graph, imported(REPOSITORY / "stages/train.py"))
    assert {"pocketface.training.settings", "pocketface.core.labels", "pocketface.layers.heads"} <= train
    assert len(train) > 40


def test_settings_and_labels_decide_what_is_built() -> None:
    """The defaults of a recipe and the order of classes are dependencies of every training."""
    _, dependencies = declared(STAGES["train"])
    for file in ("src/pocketface/training/settings.py", "src/pocketface/core/labels.py"):
        assert any(re.match(rf"{path}(/|$)", file) for path in dependencies)
