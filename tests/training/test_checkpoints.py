import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.training.checkpoints import Checkpoints
from pocketface.training.fit import HISTORY, WEIGHTS, Trained, fit
from pocketface.training.settings import Piecewise
from tiny_training import face_set, out_of_bounds, study

TESTS = Path(__file__).parent.parent

RECIPE = {
    "epochs": 4,
    "average": 0.9,
    "schedule": {"kind": "plateau", "factor": 0.5, "patience": 1},
    "watch": {"metric": "age_mae", "share": 0.2},
    "augment": {"flip": True, "erase": 0.5, "mixup": 0.2},
}
TRAIN = """
import os, sys
from pathlib import Path
from test_checkpoints import RECIPE, dropping
from tiny_training import face_set
from pocketface.training.checkpoints import Checkpoints
from pocketface.training.fit import fit, save
from pocketface.training.runtime import limit_threads

def train(out, die_after):
    limit_threads(1)
    checkpoints = Checkpoints(out / "checkpoints", {"recipe": RECIPE})
    checkpoints.start("auto")
    curves = [lambda epoch, metrics: str(epoch) == die_after and os._exit(9)]
    save(fit(dropping(**RECIPE), "small", [face_set()], "research only", curves, checkpoints), out / "model")

for out, die_after in zip(sys.argv[1::2], sys.argv[2::2]):
    child = os.fork()
    if not child:
        try:
            train(Path(out), die_after)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended", status, *sorted(os.listdir(f"{out}/checkpoints")), file=sys.stderr)
"""
"""Each training is a fork of a process that has imported TensorFlow, and done no more."""


class Interrupted(Exception):
    """As good as a kill: what runs after an epoch never ends well."""


def dropping(**changes: object):
    """The tiny study, of a model with a random layer."""
    return study({"dropout": 0.3}, **changes)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    code = f"import sys; sys.path[:0] = {[str(TESTS), str(TESTS / 'training')]!r}\n{TRAIN}"
    trainings = [tmp_path / "a", "never", tmp_path / "b", "1", tmp_path / "b", "never"]
    command = [sys.executable, "-c", code, *map(str, trainings)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    ended = [line for line in told.splitlines() if line.startswith("ended")]
    assert ended == ["ended 0 0002 0003 0004", "ended 9 0001 0002", "ended 0 0002 0003 0004"], told
    for name in (WEIGHTS, HISTORY):
        assert sha256(tmp_path / "a/model" / name) == sha256(tmp_path / "b/model" / name)


def train(folder: Path, identity: dict | None = None, curves: tuple = (), **recipe: object) -> Trained:
    checkpoints = Checkpoints(folder, identity or {})
    return fit(dropping(**recipe), "small", [face_set()], "research only", curves, checkpoints)


def test_early_stopping_keeps_the_best_epoch_also_when_resumed(tmp_path: Path) -> None:
    recipe = {
        "epochs": 20,
        "learning_rate": 0.05,
        "schedule": {"kind": "constant"},
        "watch": {"metric": "age_mae", "share": 0.3, "patience": 2},
    }
    straight = train(tmp_path / "a", **recipe)
    watched = straight.history["watch_age_mae"]
    assert len(watched) < 20
    assert watched.idxmin() == len(watched) - 3
    assert straight.card.training["faces"] < 64

    def interrupt(epoch: int, metrics: dict[str, float]) -> None:
        if epoch == len(watched) - 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(tmp_path / "b", curves=(interrupt,), **recipe)
    resumed = train(tmp_path / "b", **recipe)
    finished = train(tmp_path / "b", **recipe)
    for again in (resumed, finished):
        assert again.history.equals(straight.history)
        for ours, theirs in zip(again.model.get_weights(), straight.model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


IDENTITY = {"architecture": "compact", "training.learning_rate": 0.01}


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory) -> Path:
    """The checkpoints of a training of one epoch."""
    folder = tmp_path_factory.mktemp("checkpoints")
    train(folder, IDENTITY, epochs=1)
    return folder


def test_a_checkpoint_of_another_training_says_what_differs(one_epoch: Path, tmp_path: Path) -> None:
    shutil.copytree(one_epoch, tmp_path, dirs_exist_ok=True)
    other = IDENTITY | {"architecture": "other"}
    with pytest.raises(PocketfaceError, match=r"another training \(architecture was compact, is other\)"):
        Checkpoints(tmp_path, other).start("resume")
    Checkpoints(tmp_path, other).start("auto")
    assert not tmp_path.exists()


def test_weights_of_another_architecture_are_an_error(one_epoch: Path) -> None:
    wider = study({"dropout": 0.3, "widths": [8, 24]})
    with pytest.raises(PocketfaceError, match="not a checkpoint of this compact"):
        fit(wider, "small", [face_set()], "research only", checkpoints=Checkpoints(one_epoch, IDENTITY))


def test_nothing_to_resume_and_a_damaged_checkpoint_are_told(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match="no checkpoint to resume"):
        Checkpoints(tmp_path, {}).start("resume")
    (tmp_path / "0001").mkdir()
    (tmp_path / "0001/state.json").write_text("{")
    with pytest.raises(PocketfaceError, match="a damaged checkpoint"):
        Checkpoints(tmp_path, {}).start("resume")
    Checkpoints(tmp_path, {}).start("fresh")
    assert Checkpoints(tmp_path, {}).latest() is None


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04"], ids=["nothing", "the beginning"])
def test_a_checkpoint_that_was_cut_off_is_told_and_not_continued(one_epoch, tmp_path, left: bytes) -> None:
    shutil.copytree(one_epoch, tmp_path, dirs_exist_ok=True)
    (tmp_path / "0001/variables.npz").write_bytes(left)
    with pytest.raises(PocketfaceError, match=r"0001: a damaged checkpoint .*; remove it"):
        Checkpoints(tmp_path, IDENTITY).start("resume")


def test_a_loss_that_becomes_nan_is_told_with_a_remedy_and_leaves_the_checkpoints(tmp_path: Path) -> None:
    steps = Piecewise.model_construct(kind="piecewise", at=[0.4], factors=[1e-8, 1e30])
    with pytest.raises(PocketfaceError, match=r"models\.small: the loss became (nan|inf).*learning_rate"):
        plan = out_of_bounds(dropping(epochs=3), learning_rate=1e4, schedule=steps)
        fit(plan, "small", [face_set()], "research only", checkpoints=Checkpoints(tmp_path, {}))
    latest = Checkpoints(tmp_path, {}).latest()
    assert latest is not None
    assert latest.epochs == 1


def test_ten_thousand_epochs_come_after_9999(tmp_path: Path) -> None:
    for name in ("9999", "10000"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text("{}")
    assert [folder.name for folder in Checkpoints(tmp_path, {})._folders()] == ["9999", "10000"]
