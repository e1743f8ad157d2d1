"""Each fuzz target for some seconds, which `--fuzz-seconds 3600` makes an hour; see `__main__`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")


def test_no_input_is_a_finding(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> None:
    """Of any target; what is instrumented takes as long to import as it is fuzzed here."""
    monkeypatch.setenv("HOME", str(tmp_path))
    seconds, targets = request.config.getoption("--fuzz-seconds"), ["picture", "card", "archive", "tflite"]
    done = subprocess.run(
        [sys.executable, Path(__file__).parent, ",".join(targets), str(seconds)],
        **{"capture_output": True, "text": True, "timeout": len(targets) * (10 * seconds + 300)},
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    runs = re.findall(r"Done (\d+) runs", done.stderr)
    assert len(runs) == len(targets) and all(map(int, runs)), "on a busy machine a few"
