"""dvc.lock after kills of DVC, on a graph of two stages that take no time."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.lock import make_lock
from dvc.repo import Repo

from lock_kills import LOCK, USERS, killed_apart, repository
from pocketface.lockfile import GOOD, heal, keep


def cut(content: bytes) -> bytes:
    return content[: content.rindex(b"path:") + 2]


def cut_in_a_hash(content: bytes) -> bytes:
    """What DVC reads, and would take for another file."""
    return content[: content.rindex(b"md5: ") + 9]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return repository(tmp_path_factory.mktemp("lock"))


@pytest.fixture
def root(made, tmp_path, monkeypatch) -> Iterator[Path]:
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    yield tmp_path / "copy"


@pytest.mark.parametrize("damage", [lambda content: b"", cut, cut_in_a_hash])
@pytest.mark.parametrize("kept", [True, False])
def test_a_damaged_lock_is_taken_back(root, capsys, damage, kept):
    whole = LOCK.read_bytes()
    if kept:
        whole += b"# newer than what is committed\n"
        LOCK.write_bytes(whole)
        keep()
    LOCK.write_bytes(damage(whole))
    if not kept:
        refused = nullcontext() if damage is cut_in_a_hash else pytest.raises(DvcException)
        with refused, Repo() as repo:
            repo.status()
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


def test_what_another_dvc_is_writing_is_not_touched(root, monkeypatch):
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0)
    LOCK.write_bytes(b"")
    with Repo() as repo, repo.lock:
        heal()
    assert LOCK.read_bytes() == b""


def test_a_list_of_users_that_dvc_was_writing_is_removed_and_a_whole_one_is_not(root):
    USERS.write_text('{"write": {"')
    with pytest.raises(DvcException), Repo() as repo:  # it cannot read it
        repo.reproduce()
    heal()
    assert not USERS.exists()
    USERS.write_text("{}")
    heal()
    assert USERS.read_text() == "{}"


def test_a_list_of_users_that_another_dvc_is_writing_is_not_touched(root, monkeypatch):
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0)
    USERS.write_text("")
    with make_lock(str(USERS.with_name("rwlock.lock"))):
        heal()
    assert USERS.read_text() == ""


@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_around_a_stages_end_is_made_good(root, kills):
    ended = killed_apart(root, kills)
    assert len(ended) >= kills and all(kill.good for kill in ended), ended
    assert any(kill.lock == "empty" and kill.taken_back for kill in ended), "no kill left an empty file"
