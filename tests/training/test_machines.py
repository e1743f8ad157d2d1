import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.training import machines
from pocketface.training.fit import HISTORY, WEIGHTS
from pocketface.training.settings import Training

TESTS = Path(__file__).parent.parent

TRAIN = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pocketface.training import machines
from pocketface.training.runtime import limit_threads
limit_threads(1)
cluster = machines.strategy()
from tiny import face_set, study
from pocketface.training.fit import fit, save
changes = {"epochs": 6, "augment": {"flip": True}}
sets = [face_set(train=128)]
save(fit(study(**changes), "small", sets, "research only", cluster=cluster), Path(sys.argv[2]))
sys.stdout.flush()
os._exit(0)  # the last to leave would wait for the others
"""


def ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return found


@pytest.mark.slow
def test_two_machines_train_one_model(tmp_path: Path) -> None:
    addresses = {"worker": [f"127.0.0.1:{port}" for port in ports(2)]}
    runs = []
    for index in range(2):
        config = {"cluster": addresses, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-c", TRAIN, str(TESTS), str(tmp_path / str(index))]
        runs.append(subprocess.Popen(command, env=environment))
    try:
        assert [run.wait(timeout=240) for run in runs] == [0, 0]
    finally:
        for run in runs:
            run.kill()
    assert sha256(tmp_path / "0" / WEIGHTS) == sha256(tmp_path / "1" / WEIGHTS)
    history = pd.read_csv(tmp_path / "0" / HISTORY)
    assert list(history["epoch"]) == list(range(6))
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]


def test_one_machine_needs_no_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert machines.strategy() is None


@pytest.mark.parametrize("config", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"index": 1}}'])
def test_a_wrong_list_of_machines_is_told(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(PocketfaceError, match="TF_CONFIG: no list of workers with this one in it"):
        machines.strategy()


@pytest.mark.parametrize(
    "recipe, complaint",
    [
        ({"batch_size": 15}, "15 does not divide by 2 machines"),
        ({"watch": {}}, "not on several machines"),
        ({"average": 0.9}, "not on several machines"),
    ],
)
def test_what_several_machines_cannot_train_is_told(recipe: dict, complaint: str) -> None:
    with pytest.raises(PocketfaceError, match=complaint):
        machines.check(Training.model_validate({"epochs": 1} | recipe), 2)
