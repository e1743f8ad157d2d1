"""The whole job in one command: `dvc repro`, but warm.

    run()                                  # the graph of params.yaml
    run(["report"])                        # up to a stage

DVC starts a process for every stage, and a study has more than a hundred. Most compute for a second or two,
after they have imported TensorFlow for five. So this process imports it once, and while DVC is at work, the
`python` that DVC finds is a small client: it hands its arguments, environment and terminal over to this
process, which forks, and the fork runs the stage's script. DVC sees the same commands, dependencies and outs
as ever, and the bytes are those of plain `dvc repro` (`tests/pipeline` compares them).

Nothing is computed before the fork, only imported: TensorFlow's threads do not survive one, and here none has
been started yet. Where processes cannot fork, the stages run cold.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

STAGES = "stages"
PRELOADED = (
    "pocketface.evaluation.evaluate",
    "pocketface.faces.build",
    "pocketface.faces.selection",
    "pocketface.importing.fetch",
    "pocketface.reporting.report",
    "pocketface.tflite.benchmark",
    "pocketface.tflite.convert",
)
"""What the stages import, and so all that these import."""

SOCKET, CLIENT = "socket", "client.py"
POLL_SECONDS = 0.02
FORKS = hasattr(os, "fork") and hasattr(socket, "send_fds")

CLIENT_CODE = f"""\
import json, os, socket, sys
folder, interpreter, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
if not (arguments and os.path.dirname(arguments[0]) == {STAGES!r}):
    os.execv(interpreter, [interpreter, *arguments])
connection = socket.socket(socket.AF_UNIX)
connection.connect(os.path.join(folder, {SOCKET!r}))
request = {{"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}}
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


def run(targets: Sequence[str] = ()) -> int:
    """Runs `dvc repro`, with one line a stage; those that have not changed have none.

    Args:
        targets: stages to end with; by default the whole graph.

    Returns:
        DVC's exit status.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *targets]
    if not FORKS:
        return subprocess.run(command, check=False).returncode
    for module in PRELOADED:
        importlib.import_module(module)
    return warm(command)


def warm(command: Sequence[str]) -> int:
    """Runs a command, in which `python stages/...` is a fork of this process; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="pocketface-") as folder, _listening(Path(folder)) as listener:
        path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        running = subprocess.Popen(command, env=os.environ | {"PATH": path})
        try:
            _serve(listener, running)
        except BaseException:
            running.terminate()
            raise
        return running.wait()


@contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """A socket in a folder that has a command `python` besides, which connects to it."""
    (folder / CLIENT).write_text(CLIENT_CODE, encoding="utf-8")
    client = shlex.join([sys.executable, "-IS", str(folder / CLIENT), str(folder), sys.executable])
    command = folder / "python"
    command.write_text(f'#!/bin/sh\nexec {client} "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen()
        yield listener


def _serve(listener: socket.socket, running: subprocess.Popen[bytes]) -> None:
    """Runs the stages that are asked for, one after another, until the command ends."""
    started = time.monotonic()
    while running.poll() is None:
        if not select.select([listener], [], [], POLL_SECONDS)[0]:
            continue
        connection, _ = listener.accept()
        with connection:
            request = _receive(connection)
            minutes, seconds = divmod(int(time.monotonic() - started), 60)
            print(f"{minutes}:{seconds:02} {request.name}", flush=True)
            status = _run_in_fork(request, connection, listener)
            with suppress(BrokenPipeError):  # nobody is left to hear it
                connection.sendall(bytes([status]))


def _receive(connection: socket.socket) -> Request:
    _, terminal, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile(encoding="utf-8") as lines:
        return Request(terminal=terminal, **json.loads(lines.readline()))


def _run_in_fork(request: Request, connection: socket.socket, listener: socket.socket) -> int:
    """The exit status of a stage; it is killed when the client is gone."""
    child = os.fork()
    if child == 0:
        listener.close()
        connection.close()
        _become(request)
    for descriptor in request.terminal:
        os.close(descriptor)
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if select.select([connection], [], [], POLL_SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


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
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # what the parent meant to do at its own end is not for a fork to do
