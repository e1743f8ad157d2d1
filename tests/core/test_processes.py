import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from pocketface.core.processes import alive

POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pocketface.core.processes import end_with
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), end_with, (os.getpid(),)) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 60).result()
"""
STAGE = """
import os, time
from pocketface.core.errors import exit_cleanly
@exit_cleanly
def main():
    print(os.getpid(), flush=True)
    time.sleep(60)
if __name__ == "__main__":
    main()
"""
APART = """
import os, time
from pocketface.core.budget import Apart
apart = Apart(60, 2**33)
print(apart(os.getpid), flush=True)
apart(time.sleep, 50)
"""
RUN = """
import os, sys
from pocketface.core.processes import run
tell = "print(os.getpid(), file=open(int(sys.argv[1]), 'w'), flush=True)"
out = os.dup(1)
run([sys.executable, "-c", f"import os, sys, time; {tell}; time.sleep(60)", str(out)], 60, pass_fds=[out])
"""
DVC = """
import os, subprocess, sys
subprocess.run([sys.executable, sys.argv[1]], env=os.environ | {"DVC_STAGE": "sleep"})
"""


@pytest.mark.parametrize(
    "command",
    [
        *([POOL], [DVC, STAGE], [APART]),
        pytest.param([RUN], marks=pytest.mark.skipif(sys.platform != "linux", reason="by the kernel")),
    ],
    ids=["a pool's worker", "a stage of plain DVC", "what works apart", "what a library runs"],
)
def test_ends_with_its_parent(tmp_path, command):
    files = [tmp_path / f"{i}.py" for i in range(len(command))]
    for file, code in zip(files, command, strict=True):
        file.write_text(code)
    parent = subprocess.Popen([sys.executable, *files], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(200):
        if not runs(child):
            break
        time.sleep(0.05)
    assert not runs(child)


def runs(process: int) -> bool:
    """Whether it is alive, and no zombie that nobody waits for."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    return False


def test_alive():
    assert alive(os.getpid()) and alive(1)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not alive(ended.pid)
