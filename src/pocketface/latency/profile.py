"""Where the time goes: LiteRT's own profile of a variant, operator by operator.

The operators are those that really run: XNNPACK's where it took over, with the kernel it chose.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from pocketface.core.errors import PocketfaceError
from pocketface.core.processes import run

PROGRAM = Path(__file__).with_name("profile_run.py")
SECONDS = 600

ROW = re.compile(
    r"^\s*(?P<operator>\S.*?)\s+[\d.]+\s+[\d.]+\s+(?P<mean_ms>[\d.]+)\s+(?P<percent>[\d.]+)%\s+[\d.]+%"
    r"\s+[\d.]+\s+(?P<calls>\d+)\s+\[(?P<by>Delegate|Builtin)\]:\d+\s*$"
)
"""A line of the profiler's first table, one an operator in order of execution."""


def profile(file: Path, runs: int) -> list[dict[str, Any]]:
    """Profiles a file on one thread, on a face of zeros.

    Returns:
        One row an operator, in order of execution: `operator`, `by` (`XNNPACK` or `LiteRT`), `calls` in a
        run, `mean_ms` of a call, `share` of the operators' time.

    Raises:
        PocketfaceError: it does not run, or this LiteRT has no such profiler.
    """
    command = [sys.executable, "-P", str(PROGRAM), str(file), str(runs)]
    try:
        done = run(command, SECONDS, text=True)
    except subprocess.TimeoutExpired:
        raise PocketfaceError(f"{file}: the profiler took more than {SECONDS} seconds") from None
    table = done.stdout.partition("Top by Computation Time")[0]
    rows = [
        {
            "operator": found["operator"].removeprefix("Delegate/"),
            "by": "XNNPACK" if found["by"] == "Delegate" else "LiteRT",
            "calls": int(found["calls"]) / runs,
            "mean_ms": float(found["mean_ms"]),
            "share": float(found["percent"]) / 100,
        }
        for found in map(ROW.match, table.splitlines())
        if found
    ]
    if done.returncode != 0 or not rows:
        said = [line for line in done.stderr.splitlines() if not line.startswith(("INFO", "WARNING"))]
        raise PocketfaceError(
            f"{file}: LiteRT's profiler gave nothing ({said[-1] if said else f'status {done.returncode}'})"
        )
    return rows
