"""The whole job in one command: `dvc repro`, but with forked stages and in parallel lanes.

    run(study)                             # the graph of params.yaml
    run(study, ["report"])                 # up to a stage

Most stages import TensorFlow for longer than they compute. So this process imports it once; the `python` that
DVC finds is a small client that hands its arguments, environment and terminal over, and a fork of this
process runs the script. DVC sees the same commands, dependencies and outs, and the bytes are those of plain
`dvc repro`. Where processes cannot fork, stages run as usual.

Datasets, and then models with their variants, are made in as many *lanes* as there are `jobs`, each a silent
DVC. Plain `dvc repro` follows: latencies, for which the machine should be idle, the report, and what a lane
failed at, with its message. However this process ends, DVC and the stages end with it.
"""

import importlib
import json
import os
import runpy
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from itertools import chain
from pathlib import Path

from pocketface import lockfile
from pocketface.core import outs
from pocketface.core.errors import EXIT_INTERRUPTED, PocketfaceError
from pocketface.core.files import remove
from pocketface.core.processes import alive, end_with
from pocketface.study import Study

PRELOADED = (
    "pocketface.evaluation.evaluate",
    "pocketface.cropping.build",
    "pocketface.faces.selection",
    "pocketface.importing.fetch",
    "pocketface.report.report",
    "pocketface.results.measure",
    "pocketface.latency.benchmark",
    "pocketface.levels.convert",
    "pocketface.training.fit",
    "pocketface.tracking.preloaded",
)
"""What the stages import, and so all that these import."""
IMPORTS = "imports"
OF_DATASET = ("fetch_data@{}", "crop_faces@{}")
OF_MODEL = (
    *("learns_from@{}", "train@{}", "fetch_weights@{}", "select_faces*@{}", "export*@{}"),
    *("convert*@{}-*", "evaluate*@{}"),
)
"""A lane's stages in order, as patterns: DVC reads all of dvc.lock once for every name that it is given."""

STAGES, SOCKET, CLIENT = "stages", "socket", "client.py"
POLL_SECONDS = 0.02
GRACE_SECONDS = 1.0
"""How long a stage, which Ctrl-C reaches too, may go on when its client has ended."""
FORKS = hasattr(os, "fork") and hasattr(socket, "send_fds")

DVC_CODE = """\
import logging, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.disable(logging.INFO)
from pocketface.core.processes import end_with
end_with(int(sys.argv.pop(1)))
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
request = json.dumps([arguments, os.getcwd(), dict(os.environ)])
server = socket.socket(socket.AF_UNIX)
os.chdir(folder)  # a socket's path may have about a hundred bytes
server.connect({SOCKET!r})
socket.send_fds(server, [b"\\n"], [0, 1, 2])
server.sendall(request.encode() + b"\\n")
status = server.recv(1)
sys.exit(status[0] if status else 1)
"""
"""Ends with its stage."""


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
    lockfile.heal()
    changed = _changed(targets)
    if changed is None or not FORKS:
        return subprocess.run(_dvc(*targets), check=False).returncode
    if not changed:
        return 0
    for module in PRELOADED:
        importlib.import_module(module)
    started = time.monotonic()
    if jobs > 1 and set(targets) <= {"report"}:
        for patterns, names in (((IMPORTS,), [""]), (OF_DATASET, study.datasets), (OF_MODEL, study.models)):
            silent = ("--quiet", "--single-item", "--glob")
            if warm([_dvc(*silent, *lane) for lane in lanes(patterns, list(names), jobs)], started):
                break
    status = warm([_dvc(*targets)], started)
    if status == 0:
        lockfile.keep()
    return status


def _changed(targets: Sequence[str]) -> bool | None:
    """Whether a stage is to be run; None where DVC cannot tell, and will say why.

    Asked first, so that an error, or nothing to do, needs no import of TensorFlow.
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
    return [sys.executable, "-c", DVC_CODE, str(os.getpid()), "--wait-for-lock", "repro", *arguments]


def lanes(patterns: Sequence[str], names: Sequence[str], jobs: int) -> list[list[str]]:
    """Shares names out; all stages of a name are in one lane, in order."""
    chains = [[pattern.format(name) for pattern in patterns] for name in names]
    return [list(chain.from_iterable(chains[lane::jobs])) for lane in range(min(jobs, len(chains)))]


def warm(commands: Sequence[Sequence[str]], started: float | None = None) -> int:
    """Runs commands side by side, in which `python stages/...` is a fork of this process.

    Args:
        commands: programs and their arguments.
        started: when the job began, by the monotonic clock, for what is printed.

    Returns:
        The largest exit status.
    """
    with _ended_by_sigterm(), _scratch() as folder:
        path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = os.environ | {"PATH": path, "TMPDIR": str(folder)}
        with _Stages(folder, time.monotonic() if started is None else started) as stages:
            running = [subprocess.Popen(command, env=environment) for command in commands]
            try:
                while any(command.poll() is None for command in running):
                    stages.handle_request()
            finally:
                for command in running:
                    command.terminate()
                    command.wait()
                stages.end()
        return max((command.returncode for command in running), default=0)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the block as an exception does, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for temporary files; those of runs that were killed are removed."""
    kept = outs.KEPT.absolute()
    kept.mkdir(parents=True, exist_ok=True)
    for left in kept.glob("run-*"):
        if not alive(int(left.name.split("-")[1])):
            remove(left)
    with tempfile.TemporaryDirectory(
        prefix=f"run-{os.getpid()}-", dir=kept, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


if FORKS:

    class _Stages(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
        """Listens in a folder with a command `python` that connects to it; forks for every client."""

        timeout = POLL_SECONDS
        max_children = sys.maxsize

        def __init__(self, folder: Path, started: float) -> None:
            self.started, self.process = started, os.getpid()
            (folder / CLIENT).write_text(CLIENT_CODE, encoding="utf-8")
            client = shlex.join([sys.executable, "-IS", str(folder / CLIENT), str(folder), sys.executable])
            command = folder / "python"
            command.write_text(f'#!/bin/sh\nexec {client} "$@"\n', encoding="utf-8")
            command.chmod(0o700)
            with chdir(folder):  # a socket's path may have about a hundred bytes
                super().__init__(SOCKET, _Stage)

        def end(self) -> None:
            """Ends the stages that outlive their DVC, and so their clients, which DVC's shell may keep."""
            for process in self.active_children or ():
                os.kill(process, signal.SIGTERM)


class _Stage(socketserver.BaseRequestHandler):
    """Becomes the stage that a client asks for, in a fork, and tells the client its exit status."""

    server: "_Stages"

    def handle(self) -> None:
        """Reads the script's arguments, its folder and its environment, and runs it."""
        end_with(self.server.process)
        self.server.socket.close()
        _, terminal, _, _ = socket.recv_fds(self.request, 1, 3)
        with self.request.makefile(encoding="utf-8") as lines:
            arguments, folder, environment = json.loads(lines.readline())
        minutes, seconds = divmod(int(time.monotonic() - self.server.started), 60)
        print(f"{minutes}:{seconds:02} {environment.get('DVC_STAGE', ' '.join(arguments))}", flush=True)
        threading.Thread(target=self._end_with_client, daemon=True).start()
        for number, descriptor in enumerate(terminal):
            os.dup2(descriptor, number)
            os.close(descriptor)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        self.request.sendall(bytes([_script(arguments)]))

    def _end_with_client(self) -> None:
        self.request.recv(1)
        time.sleep(GRACE_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)


def _script(arguments: list[str]) -> int:
    """Runs a script in this process as `python` would; its exit status."""
    sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).parent.resolve())
    try:
        runpy.run_path(arguments[0], run_name="__main__")
        return 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
