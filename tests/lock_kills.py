"""Killing DVC at the moments around a stage's end, when it writes dvc.lock, and running it again.

    root = repository(folder)
    for kill in kill_at_stage_ends(root, 200, random.Random(1)):
        kill.moment, kill.lock, kill.taken_back, kill.good

Two stages that take no time. By turns one DVC runs both, or two at once a stage each, as in the lanes of
`pocketface run`; half are ended by SIGTERM, and half of the time no dvc.lock was kept, so that git's is the
last good one. Each DVC is a fork of this process, which has imported it.
"""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import yaml

from pocketface.lockfile import GOOD, heal, keep

LOCK = Path("dvc.lock")
DVC = [sys.executable, "-m", "dvc"]
QUIET = ("config", "core.analytics", "false")
FORKED = multiprocessing.get_context("fork")
USERS = Path(".dvc/tmp/rwlock")
STAGES = ("one", "two")
FILES = 60
"""Dependencies of each stage; their hashes take DVC two writes."""
ENDED = "a stage's command has ended"
WRITING = "DVC has begun to write `dvc.lock`"
WRITTEN = "DVC has written `dvc.lock`"
"""The moments."""
TRIES = 20
"""Runs, at most, for each kill."""
LONGEST_DELAY = 0.06
"""Seconds after the moment, at most; half of the kills have none."""


@dataclass(frozen=True)
class Kill:
    """One kill, and what became of it.

    Attributes:
        moment: of a stage's end, one of `ENDED`, `WRITING` and `WRITTEN`.
        signal: what ended all processes.
        writers: how many DVCs were at work.
        lock: what it left of dvc.lock: `as before`, `empty`, `cut off` or `new`.
        taken_back: whether the last good one took its place.
        users_damaged: whether DVC's list of who reads and writes what was left unreadable.
        good: whether the next run left the outs and the dvc.lock, byte for byte, of one that nobody disturbs.
    """

    moment: str
    signal: signal.Signals
    writers: int
    lock: str
    taken_back: bool
    users_damaged: bool
    good: bool


def write_graph(root: Path, number: int) -> None:
    """Has the stages write another number; the files always have the same size."""
    deps = [f"in{i}" for i in range(FILES)]
    stages = {name: {"cmd": f"echo {number:06} > {name}", "deps": deps, "outs": [name]} for name in STAGES}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))


def repository(root: Path) -> Path:
    """A repository in which the graph has run, committed."""
    root.mkdir(exist_ok=True)
    write_graph(root, 0)
    for number in range(FILES):
        (root / f"in{number}").write_text(f"{number}\n")
    (root / ".gitignore").write_text("".join(f"/{name}\n" for name in STAGES))
    who = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    for command in (
        ["git", "init", "-q"],
        [*DVC, "init", "-q"],
        [*DVC, *QUIET],
        [*DVC, "repro"],
        ["git", "add", "."],
    ):
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["git", *who, "commit", "-qm", "A run"], cwd=root, check=True)
    return root


def kill_at_stage_ends(root: Path, kills: int, rng: random.Random) -> Iterator[Kill]:
    """Kills so often, each time in a graph that has changed since, and makes good each time; and on until one
    kill has left an empty file.

    A moment that passes before it is seen is waited for again, in the next graph.
    """
    import dvc.cli
    import dvc.commands.repro
    import dvc.repo  # noqa: F401

    with chdir(root):
        first, killed, emptied = LOCK.read_bytes(), 0, False
        for number in range(1, TRIES * kills + 1):
            keep()
            if number % 4 < 2:
                GOOD.unlink()
            write_graph(root, number)
            before, moment = LOCK.read_bytes(), (ENDED, WRITING, WRITTEN)[killed % 3]
            sent, writers = rng.choice((signal.SIGKILL, signal.SIGTERM)), 1 + number % 2
            if not _run_and_kill(number, moment, sent, writers, rng):
                continue
            left, users_damaged = LOCK.read_bytes(), not _is_json(_text(USERS))
            _forked(heal).join()
            taken_back = LOCK.read_bytes() != left
            again = _forked(_repro)
            again.join()
            lock, outs = _expected(first, number), {Path(name).read_text() for name in STAGES}
            good = not again.exitcode and LOCK.read_bytes() == lock and outs == {f"{number:06}\n"}
            yield Kill(moment, sent, writers, _state(left, before), taken_back, users_damaged, good)
            killed, emptied = killed + 1, emptied or not left
            if killed >= kills and emptied:
                return
        raise AssertionError(f"{killed} of {kills} kills seen in {number} runs; an empty file: {emptied}")


def killed_apart(root: Path, kills: int) -> list[Kill]:
    """The same with a fixed seed, in a process of its own: what forks must not have threads."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_killed, root, kills).result()


def _killed(root: Path, kills: int) -> list[Kill]:
    return list(kill_at_stage_ends(root, kills, random.Random(1)))


def _run_and_kill(number: int, moment: str, sent: signal.Signals, writers: int, rng: random.Random) -> bool:
    """Starts DVC, in a group of processes, and ends the group at the moment; whether that was seen."""
    whole, before = LOCK.stat().st_size, LOCK.stat().st_mtime_ns
    running: list[BaseProcess] = []
    for targets in [[]] if writers == 1 else [["--single-item", name] for name in STAGES]:
        running.append(_forked(_repro, *targets, group=running[0].pid if running else 0))
    while any(process.is_alive() for process in running):
        about = LOCK.stat()
        reached = {
            ENDED: f"{number:06}\n" in {_text(Path(name)) for name in STAGES},
            WRITING: about.st_size < whole,
            WRITTEN: about.st_size == whole and about.st_mtime_ns != before,
        }
        if reached[moment]:
            time.sleep(rng.choice((0.0, rng.uniform(0, LONGEST_DELAY))))
            break
    else:
        return False
    os.killpg(running[0].pid, sent)
    for process in running:
        process.join()
    return True


def _forked(function: Callable[..., object], *arguments: str, group: int | None = None) -> BaseProcess:
    process = FORKED.Process(target=_silent, args=(function, arguments, group))
    process.start()
    if group is not None:
        with suppress(ProcessLookupError, PermissionError):  # both do it, and neither waits
            os.setpgid(process.pid, group or process.pid)
    return process


def _silent(function: Callable[..., object], arguments: Sequence[str], group: int | None) -> None:
    if group is not None:
        os.setpgid(0, group)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.exit(function(*arguments))


def _repro(*targets: str) -> int:
    from dvc.cli import main

    return main(["repro", *targets])


def _text(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text()
    return ""


def _is_json(text: str) -> bool:
    with suppress(ValueError):
        json.loads(text)
        return True
    return False


def _state(left: bytes, before: bytes) -> str:
    if not left:
        return "empty"
    return "cut off" if len(left) < len(before) else "as before" if left == before else "new"


def _expected(first: bytes, number: int) -> bytes:
    """The dvc.lock of a run that nobody disturbs: that of number 0 with the other number and its hash."""
    hashes = [hashlib.md5(f"{one:06}\n".encode()).hexdigest().encode() for one in (0, number)]
    return first.replace(b"echo 000000", f"echo {number:06}".encode()).replace(*hashes)
