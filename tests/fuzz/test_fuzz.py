"""Each fuzz target for some seconds, which `--fuzz-seconds 3600` makes an hour; see `__main__`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")


@pytest.mark.parametrize("target", ["picture", "card", "archive", "tflite"])
def test_no_input_is_a_finding(
    target: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    seconds = request.config.getoption("--fuzz-seconds")
    done = subprocess.run(
        [sys.executable, Path(__file__).parent, target, str(seconds)],
        **{"capture_output": True, "text": True, "timeout": 10 * seconds + 300},
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert int(re.search(r"Done (\d+) runs", done.stderr)[1])  # on a busy machine a few
