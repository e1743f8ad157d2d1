"""dvc.lock after kills of DVC, on a graph of one stage that takes no time."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pocketface.lockfile import GOOD, heal, keep

LOCK = Path("dvc.lock")
DVC = [sys.executable, "-m", "dvc", "-q"]
FILES = 300
"""Dependencies, so many that DVC takes a while to write their lock."""


def write_graph(root: Path, number: int) -> None:
    stage = {"cmd": f"echo {number} > out", "deps": [f"in{i}" for i in range(FILES)], "outs": ["out"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"count": stage}}))


def cut(content: bytes) -> bytes:
    return content[: content.rindex(b"path:") + 2]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A repository in which the graph has run, committed."""
    root = tmp_path_factory.mktemp("lock")
    write_graph(root, 0)
    for number in range(FILES):
        (root / f"in{number}").touch()
    (root / ".gitignore").write_text("/out\n")
    who = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    for command in (["git", "init", "-q"], [*DVC, "init"], [*DVC, "repro"], ["git", "add", "."]):
        subprocess.run(command, cwd=root, check=True)
    subprocess.run(["git", *who, "commit", "-qm", "A run"], cwd=root, check=True)
    return root


@pytest.fixture
def root(made, tmp_path, monkeypatch) -> Iterator[Path]:
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    yield tmp_path / "copy"


@pytest.mark.parametrize("damage", [lambda content: b"", cut], ids=["empty", "cut off"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_damaged_lock_is_taken_back(root, capsys, damage, kept):
    whole = LOCK.read_bytes()
    if kept:
        whole += b"# newer than what is committed\n"
        LOCK.write_bytes(whole)
        keep()
    LOCK.write_bytes(damage(whole))
    if not kept:
        assert subprocess.run([*DVC, "status"], capture_output=True).returncode, "DVC cannot read it"
    heal()
    assert LOCK.read_bytes() == whole
    assert "dvc.lock was damaged" in capsys.readouterr().err
    heal()
    assert capsys.readouterr().err == ""


def test_where_none_was_kept_or_committed_the_stages_come_from_the_cache(root, capsys):
    shutil.rmtree(".git/refs")
    LOCK.write_bytes(b"")
    heal()
    assert not LOCK.exists() and "without it" in capsys.readouterr().err


def test_a_good_lock_is_kept_and_a_conflict_left_to_a_person(root, capsys):
    heal()
    assert GOOD.read_bytes() == LOCK.read_bytes()
    conflict = b"<<<<<<< HEAD\n=======\n>>>>>>> other\n" + LOCK.read_bytes()
    LOCK.write_bytes(conflict)
    heal()
    assert LOCK.read_bytes() == conflict and capsys.readouterr().err == ""


def test_what_another_dvc_is_writing_is_not_touched(root):
    from dvc.repo import Repo

    LOCK.write_bytes(b"")
    code = "from pocketface.lockfile import heal; heal()"
    with Repo() as repo, repo.lock:
        subprocess.run([sys.executable, "-c", code], check=True)
    assert LOCK.read_bytes() == b""


@pytest.mark.parametrize("kills", [2, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_while_dvc_writes_is_made_good(root, kills):
    """Each kill is sent when the file has been emptied, or a random while after that."""
    keep()
    rng, lost = random.Random(1), 0
    for number in range(1, kills + 1):
        write_graph(root, number)
        whole = LOCK.stat().st_size
        process = subprocess.Popen([*DVC, "repro"], start_new_session=True)
        while process.poll() is None:
            if LOCK.stat().st_size < whole:
                time.sleep(rng.choice([0, rng.random() / 50]))
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        lost += LOCK.stat().st_size == 0
        heal()
        subprocess.run([*DVC, "repro"], check=True)
        assert Path("out").read_text() == f"{number}\n" and f"echo {number} > out" in LOCK.read_text()
        keep()
    assert lost, "no kill left an empty file"
