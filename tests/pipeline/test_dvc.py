"""What docs/dvc.md tells: experiments, queues, comparisons, and a remote that a second clone pulls from."""

import json
import time
from typing import Any

import pytest
import yaml
from copies import Copy, tiny_copy

pytestmark = pytest.mark.slow

EPOCHS = "models.age_gender.training.epochs"
MODEL = "models/age_gender/model.weights.h5"
METRICS = "reports/tiny/metrics.json"
MADE = 2
"""Epochs of what is committed."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which the graph has run, with everything committed."""
    made = tiny_copy(tmp_path_factory.mktemp("dvc"))
    made.run("dvc", "repro")
    made.commit()
    return made


def epochs(params: dict[str, Any]) -> int:
    return params["models"]["age_gender"]["training"]["epochs"]


def here(copy: Copy) -> int:
    """Epochs in the working folder's params file."""
    return epochs(yaml.safe_load((copy.root / "params.yaml").read_text()))


def experiments(copy: Copy) -> dict[str, int]:
    """Experiment -> epochs."""
    printed = copy.run("dvc", "exp", "show", "--json", "--hide-workspace")
    (committed,) = json.loads(printed[printed.index("[{") :])
    rows = [row["revs"][0] for row in committed["experiments"] or []]
    assert all(METRICS in row["data"]["metrics"] for row in rows)
    return {row["name"]: epochs(row["data"]["params"]["params.yaml"]["data"]) for row in rows}


def go_back(copy: Copy) -> None:
    copy.run("git", "checkout", "-q", ".")
    copy.run("dvc", "checkout")
    assert here(copy) == MADE


def test_an_experiment_is_recorded_compared_and_taken_over(copy: Copy) -> None:
    before = copy.outs()
    copy.run("dvc", "exp", "run", "-n", "longer", "-S", f"{EPOCHS}=3")
    assert experiments(copy) == {"longer": 3}
    assert here(copy) == 3
    made = copy.outs()
    assert made[MODEL] != before[MODEL]
    told = copy.run("dvc", "exp", "diff")
    assert EPOCHS in told and "utkface.age_mae" in told
    assert "utkface.age_mae" in copy.run("dvc", "metrics", "diff")
    copy.run("dvc", "plots", "diff", "--out", "../plots")
    plots = copy.root.parent / "plots"
    page = (plots / "index.html").read_text()
    assert "reports/tiny/confusion" in page and list((plots / "static").glob("*.png"))
    go_back(copy)
    assert copy.outs()[MODEL] == before[MODEL]
    copy.run("dvc", "exp", "apply", "longer")
    assert here(copy) == 3 and copy.outs()[MODEL] == made[MODEL]
    go_back(copy)


def test_a_queue_runs_experiments_side_by_side(copy: Copy) -> None:
    earlier = experiments(copy)
    copy.run("dvc", "exp", "run", "--queue", "-S", f"{EPOCHS}=1,4")
    copy.run("dvc", "queue", "start", "-j", "2")
    try:
        for _ in range(600):
            status = copy.run("dvc", "queue", "status")
            if not ("Queued" in status or "Running" in status):
                break
            time.sleep(1)
    finally:
        copy.run("dvc", "queue", "stop", "--kill")
    assert status.count("Success") == 2, status
    assert sorted(experiments(copy).values()) == sorted([*earlier.values(), 1, 4])
    assert here(copy) == MADE and not copy.run("git", "status", "--porcelain", "--untracked-files=no")


def test_a_second_clone_takes_everything_from_a_remote_and_has_nothing_to_do(copy: Copy) -> None:
    copy.run("dvc", "remote", "add", "-d", "storage", str(copy.root.parent / "storage"))
    copy.commit()
    copy.run("dvc", "push")
    second = copy.clone(copy.root.parent / "second")
    second.run("dvc", "pull")
    assert "Data and pipelines are up to date" in second.run("dvc", "repro")
    assert second.outs() == copy.outs()
    assert not second.run("git", "status", "--porcelain")
