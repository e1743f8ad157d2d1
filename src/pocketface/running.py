"""The whole job in one command: `dvc repro`, but warm, and in lanes.

    run(study)                             # the graph of params.yaml
    run(study, ["report"])                 # up to a stage

DVC starts a process for every stage, and a study has more than a hundred. Most compute for a second or two,
after they have imported TensorFlow for five. So this process imports it once, and while DVC is at work, the
`python` that DVC finds is a small client: it hands its arguments, environment and terminal over to this
process, which forks, and the fork runs the stage's script. DVC sees the same commands, dependencies and outs
as ever, and the bytes are those of plain `dvc repro` (`tests/pipeline` compares them).

Nothing is computed before the fork, only imported: TensorFlow's threads do not survive one, and here none has
been started yet. Where processes cannot fork, the stages run cold.

DVC runs one stage after another, and most of them keep one core busy. So datasets, and then models with their
variants, are made in as many *lanes* as there are `jobs`, each a DVC of its own, with datasets and models of
its own. Plain `dvc repro` follows and does what is left: latencies, for which the machine should be quiet,
the report, and what a lane failed at. A lane's DVC is silent; what fails for good, the last one explains.

A lane names its stages by patterns, since DVC reads all of dvc.lock once for every name that it is given.

Ctrl-C ends the stages and DVC. What was done stays done, so the next run goes on from there.
"""

import importlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NoReturn

from pocketface.core.errors import EXIT_INTERRUPTED, PocketfaceError
from pocketface.study import Study

STAGES = "stages"
PRELOADED = (
    "pocketface.evaluation.evaluate",
    "pocketface.cropping.build",
    "pocketface.faces.selection",
    "pocketface.importing.fetch",
    "pocketface.report.report",
    "pocketface.results.measure",
    "pocketface.latency.benchmark",
    "pocketface.tflite.convert",
    "pocketface.training.fit",
)
"""What the stages import, and so all that these import."""

SOCKET, CLIENT = "socket", "client.py"
POLL_SECONDS = 0.02
NEEDS_ALL = {"report"}
"""Stages that depend on every variant."""
FORKS = hasattr(os, "fork") and hasattr(socket, "send_fds")

DVC_CODE = """\
import logging, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.disable(logging.INFO)
sys.argv[0] = "dvc"
from dvc.cli import main
sys.exit(main())
"""
"""DVC with its warnings and errors, but without a word on what it does; Ctrl-C is for `warm` to act on."""

CLIENT_CODE = f"""\
import json, os, socket, sys
folder, interpreter, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
if not (arguments and os.path.dirname(arguments[0]) == {STAGES!r}):
    os.execv(interpreter, [interpreter, *arguments])
request = {{"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}}
connection = socket.socket(socket.AF_UNIX)
os.chdir(folder)  # a socket's path may have about a hundred bytes
connection.connect({SOCKET!r})
socket.send_fds(connection, [b"\\n"], [0, 1, 2])
connection.sendall(json.dumps(request).encode() + b"\\n")
status = connection.recv(1)
sys.exit(status[0] if status else 1)
"""


@dataclass(frozen=True)
class Request:
    """A stage that is to run.

    Attributes:
        arguments: the script and its own arguments.
        folder: where it runs.
        environment: all of it; DVC adds the stage's name, `DVC_STAGE`.
        terminal: its standard input, output and error, open here.
    """

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    terminal: list[int]

    @property
    def name(self) -> str:
        """The stage's name in the graph."""
        return self.environment.get("DVC_STAGE", " ".join(self.arguments))


def run(study: Study, targets: Sequence[str] = (), jobs: int = 2) -> int:
    """Runs `dvc repro` in the working folder, with one line a stage; those that have not changed have none.

    Args:
        study: what is in params.yaml.
        targets: stages to end with; by default the whole graph.
        jobs: lanes.

    Returns:
        DVC's exit status; it has said why if that is not 0.

    Raises:
        PocketfaceError: there is no git repository.
    """
    changed = _changed(targets)
    if changed is None or not FORKS:
        return subprocess.run(_dvc(*targets), check=False).returncode
    if not changed:
        return 0
    for module in PRELOADED:
        importlib.import_module(module)
    started = time.monotonic()
    if jobs > 1 and set(targets) <= NEEDS_ALL:
        for chains in phases(study):
            silent = ("--quiet", "--single-item", "--glob")
            if warm([_dvc(*silent, *lane) for lane in lanes(chains, jobs)], started):
                break
    return warm([_dvc(*targets)], started)


def _changed(targets: Sequence[str]) -> bool | None:
    """Whether a stage is to be run; None where DVC cannot tell, and will say why.

    Asked first: for an answer, or for nothing to do, nobody need wait until TensorFlow is imported.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with Repo() as repo:
            return bool(repo.status(targets=list(targets) or None))
    except SCMError as error:
        raise PocketfaceError(f"{error}, and DVC needs one: `git init` makes it one") from None
    except DvcException:
        return None


def _dvc(*arguments: str) -> list[str]:
    return [sys.executable, "-c", DVC_CODE, "--wait-for-lock", "repro", *arguments]


def phases(study: Study) -> list[list[list[str]]]:
    """Chains of stages to be made in order, those of a phase side by side: datasets, then models.

    A model's latencies are not among them. Patterns stand for its levels.
    """
    crops = [[f"fetch_data@{name}", f"crop_faces@{name}"] for name in study.datasets]
    models = [
        [
            *(f"{stage}@{name}" for stage in _first_stages(study, name)),
            f"{_stage('select_faces', study, name)}@{name}",
            f"{_stage('convert', study, name)}@{name}-*",
            f"{_stage('evaluate', study, name)}@{name}-*",
        ]
        for name in study.models
    ]
    return [crops, models]


def lanes(chains: Sequence[list[str]], jobs: int) -> list[list[str]]:
    """Shares chains out; each is in one lane."""
    return [list(chain.from_iterable(chains[lane::jobs])) for lane in range(min(jobs, len(chains)))]


def _first_stages(study: Study, model: str) -> list[str]:
    return ["fetch_weights"] if model in study.fetched else ["learns_from", "train"]


def _stage(stage: str, study: Study, model: str) -> str:
    """A stage's name in the graph, which has those of fetched models once more."""
    return f"{stage}_fetched" if model in study.fetched else stage


def warm(commands: Sequence[Sequence[str]], started: float | None = None) -> int:
    """Runs commands side by side, in which `python stages/...` is a fork of this process.

    Args:
        commands: programs and their arguments.
        started: when the job began, by the monotonic clock, for what is printed.

    Returns:
        The largest exit status.
    """
    with tempfile.TemporaryDirectory(prefix="pocketface-") as folder, _listening(Path(folder)) as listener:
        path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        running = [subprocess.Popen(command, env=os.environ | {"PATH": path}) for command in commands]
        try:
            _serve(listener, running, time.monotonic() if started is None else started)
        except BaseException:
            for command in running:
                command.terminate()
                command.wait()
            raise
        return max((command.wait() for command in running), default=0)


@contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """A socket in a folder that has a command `python` besides, which connects to it."""
    (folder / CLIENT).write_text(CLIENT_CODE, encoding="utf-8")
    client = shlex.join([sys.executable, "-IS", str(folder / CLIENT), str(folder), sys.executable])
    command = folder / "python"
    command.write_text(f'#!/bin/sh\nexec {client} "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        with chdir(folder):  # a socket's path may have about a hundred bytes
            listener.bind(SOCKET)
        listener.listen()
        yield listener


def _serve(listener: socket.socket, running: Sequence[subprocess.Popen[bytes]], started: float) -> None:
    """Runs the stages that are asked for until the commands end."""
    stages: dict[int, socket.socket] = {}
    try:
        while stages or any(command.poll() is None for command in running):
            ready = select.select([listener, *stages.values()], [], [], POLL_SECONDS)[0]
            if listener in ready:
                connection, _ = listener.accept()
                request = _receive(connection)
                minutes, seconds = divmod(int(time.monotonic() - started), 60)
                print(f"{minutes}:{seconds:02} {request.name}", flush=True)
                stages[_fork(request, [listener, connection, *stages.values()])] = connection
            for stage, connection in list(stages.items()):
                if connection in ready:  # its client is gone
                    os.kill(stage, signal.SIGKILL)
                ended, status = os.waitpid(stage, os.WNOHANG)
                if ended:
                    _answer(stages.pop(stage), os.waitstatus_to_exitcode(status))
    except BaseException:
        _end(stages)
        raise


def _end(stages: Iterable[int], seconds: float = 5) -> None:
    """Waits for stages to end, which Ctrl-C reaches too, but no longer than so."""
    patience = time.monotonic() + seconds
    for stage in stages:
        while not os.waitpid(stage, os.WNOHANG)[0]:
            if time.monotonic() > patience:
                os.kill(stage, signal.SIGKILL)
            time.sleep(POLL_SECONDS)


def _answer(connection: socket.socket, status: int) -> None:
    """Tells a client how its stage ended; a signal is told as a shell does."""
    with connection, suppress(BrokenPipeError):
        connection.sendall(bytes([status if status >= 0 else 128 - status]))


def _receive(connection: socket.socket) -> Request:
    _, terminal, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile(encoding="utf-8") as lines:
        return Request(terminal=terminal, **json.loads(lines.readline()))


def _fork(request: Request, sockets: Sequence[socket.socket]) -> int:
    """Starts a stage, which needs none of the sockets; its process."""
    child = os.fork()
    if child == 0:
        for own in sockets:
            own.close()
        _become(request)
    for descriptor in request.terminal:
        os.close(descriptor)
    return child


def _become(request: Request) -> NoReturn:
    """Makes this process the one that DVC meant to start."""
    status = 1
    try:
        for number, descriptor in enumerate(request.terminal):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(request.folder)
        os.environ.clear()
        os.environ.update(request.environment)
        script = request.arguments[0]
        sys.argv = list(request.arguments)
        sys.path[0] = str(Path(script).parent.resolve())
        runpy.run_path(script, run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # what the parent meant to do at its own end is not for a fork to do
