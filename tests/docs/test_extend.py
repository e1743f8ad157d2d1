"""Does what docs/extend.md says, with its own blocks of code."""

import importlib
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sklearn.metrics import cohen_kappa_score

import drawn_datasets as drawn
from pocketface import datasets, levels, models
from pocketface.core import outs
from pocketface.cropping.build import build
from pocketface.faces.index import FaceSet
from pocketface.faces.selection import select
from pocketface.faces.settings import Dataset
from pocketface.fetching.sources import load_sources
from pocketface.levels.converter import to_tflite
from pocketface.levels.source import Source
from pocketface.metrics import measures, naming, registry
from pocketface.study import Study
from pocketface.training.fit import fit
from tiny_training import face_set, study

REPOSITORY = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w+\n# (?P<place>\S+?),?(?: [^\n]*)?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(section: str) -> dict[str, str]:
    """Place -> code, of a section of the page."""
    page = (REPOSITORY / "docs/extend.md").read_text(encoding="utf-8")
    text = re.split(r"^## ", page, flags=re.MULTILINE)
    (own,) = (part for part in text if part.startswith(f"{section}\n"))
    return {found["place"]: found["code"] for found in BLOCK.finditer(own)}


def added(module, code: str) -> None:
    """Runs code as if it stood at the end of a module."""
    exec(compile(code, module.__file__, "exec"), vars(module))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Adds a module to a package of ours, as long as the test runs."""

    def add(package, path: str, code: str) -> None:
        (tmp_path / Path(path).name).write_text(code)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        importlib.invalidate_caches()

    return add


def test_every_block_says_where_it_goes():
    page = (REPOSITORY / "docs/extend.md").read_text(encoding="utf-8")
    places = [found["place"] for found in BLOCK.finditer(page)]
    assert len(places) == page.count("\n```") / 2
    for place in places:
        assert (REPOSITORY / place).parent.is_dir(), place


def test_a_dataset(package, tmp_path):
    found = blocks("A dataset")
    package(datasets, *next((place, code) for place, code in found.items() if place.endswith(".py")))
    archive = tmp_path / "files.zip"
    ada, bob = (drawn.jpeg(drawn.scene(person)) for person in drawn.people(2))
    archive.write_bytes(
        drawn.zipped(
            {
                "a/ada_36.jpg": ada,
                "a/bob_50.jpg": bob,
                "a/eve.jpg": drawn.jpeg(drawn.scene()),
            }
        )
    )
    sources = yaml.safe_load((REPOSITORY / outs.SOURCES).read_text(encoding="utf-8"))
    sources["datasets"] |= yaml.safe_load(found["data/sources.yaml"])
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(sources))
    assert load_sources(tmp_path / "sources.yaml").dataset("people").labels == datasets.labels("people")
    stanza = Dataset.model_validate(yaml.safe_load(found["params.yaml"])["people"])
    build("people", archive, stanza, tmp_path / "faces", workers=1)
    index = FaceSet.load(tmp_path / "faces").index.set_index("image")
    assert list(index["status"]) == ["ok", "ok", "bad_name"]
    assert list(index["age"].dropna()) == [36, 50]


def test_a_model(package):
    found = blocks("A model")
    package(models, "strided.py", found["src/pocketface/models/strided.py"])
    params = study().model_dump(mode="json")
    params["models"] = yaml.safe_load(found["params.yaml"])
    params["fetched"] = {}
    trained = fit(Study.model_validate(params), "age_strided", [face_set()], "ours")
    assert trained.card.architecture == "strided"
    assert set(trained.card.outputs) == {"age", "gender"}


def test_a_level(monkeypatch):
    found = blocks("A level")
    monkeypatch.setattr(levels, "LEVELS", dict(levels.LEVELS))
    added(levels, found["src/pocketface/levels/__init__.py"])
    (name, settings) = next(iter(yaml.safe_load(found["params.yaml"]).items()))
    plan = study().models["small"]
    model = models.build(plan.architecture, plan.input, plan.heads, {"widths": [16, 64], "depths": [1, 1]})
    faces = select(face_set(), face_set(dataset="photos", seed=1), plan.input).calibration
    settings = study().levels["float32"].model_validate(settings)
    level = levels.LEVELS[name]
    source = Source({}, to_tflite(model), faces, lambda: model)
    made = level.make(source, settings)
    level.check(made.file)
    assert made.file != levels.LEVELS["int8"].make(source, settings).file
    symmetric = [low < -high for low, high in made.file.ranges.values()]  # -128 to 127, about 0
    assert sum(symmetric) >= len(symmetric) - 2, "all but a softmax's"


def test_a_metric():
    found = blocks("A metric")
    before = dict(registry.METRICS)
    try:
        added(registry, found["src/pocketface/metrics/registry.py"])
        table = pd.DataFrame({"gender": ["male"] * 6 + ["female"] * 4, "gender_pred": ["male", "female"] * 5})
        measured = measures.measure(table).values["gender_kappa"]
        said = naming.label_of("utkface.gender_kappa"), naming.shown("utkface.gender_kappa", measured)
    finally:
        registry.METRICS.clear()
        registry.METRICS.update(before)
    assert said == ("gender kappa", f"{measured:.2f}")
    assert measured == pytest.approx(cohen_kappa_score(table["gender"], table["gender_pred"]))
