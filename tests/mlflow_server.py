"""`mlflow server`, for tests and benchmarks."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

START_SECONDS = 900
"""Of a machine that is busy with something else; on an idle one it takes some 15."""


class Server:
    """`mlflow server` on a port of its own, over a database that outlives it."""

    def __init__(self, database: str, folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.with_secret = f"http://me:pl4nted@127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database]
        self._command += ["--artifacts-destination", str(folder / "artifacts")]
        self._command += ["--port", str(self.port), "--workers", "1"]
        self._log = folder / "server.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        quick = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=quick, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if requests.get(f"{self.address}/health", timeout=30).ok:
                    return
            except requests.RequestException:
                time.sleep(0.5)
        raise AssertionError(f"mlflow server did not start:\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
