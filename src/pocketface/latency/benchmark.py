"""How long a variant takes for one face, on this machine.

Another load on the machine slows whatever runs at that moment. So the variant and its float32 sibling take
turns, run by run, and the ratio of their medians is worth more than either of them.
"""

import os
import platform
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketface.cards import MODEL_FILE, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.latency.profile import profile
from pocketface.tflite.run import KERNELS, Runner

NOTHING: dict[str, Any] = {"threads": {}, "float32_ratio": None, "operators": None}


def benchmark(
    variant: Path, reference: Path, threads: Sequence[int], runs: int, warmup: int, profiled: bool = False
) -> dict[str, Any]:
    """Times a variant.

    Args:
        variant: its folder.
        reference: the folder of the same model's float32 variant, which may be missing or failed.
        threads: thread settings to measure, 1 among them: the ratio is taken there.
        runs: per thread setting, of one face each.
        warmup: runs before these that do not count.
        profiled: whether to ask LiteRT's profiler, in other runs, for it costs time.

    Returns:
        What goes into `timings/MODEL/LEVEL.json`: `model`, `level`, `status`, `reason`, `host`, `kernels`,
        `threads`: {"1": {"min_ms", "median_ms", "p95_ms", "runs"}} and `float32_ratio`, the median over the
        reference's (null without one), and `operators`, see `pocketface.latency.profile` (null if not
        `profiled`). A variant that failed, is unavailable or does not run has that status and the reason.

    Raises:
        PocketfaceError: the variant has no card.
    """
    card = read_card(variant, VariantCard)
    about = {"model": card.model, "level": card.level, "host": host(), "kernels": KERNELS}
    if card.status != "ok":
        return about | {"status": card.status, "reason": card.reason} | NOTHING
    try:
        files = [variant / MODEL_FILE, *([reference / MODEL_FILE] if _runs(reference) else [])]
        times = {n: take_turns([Runner(file, n) for file in files], runs, warmup) for n in threads}
        operators = profile(files[0], runs) if profiled else None
    except PocketfaceError as error:
        return about | {"status": "failed", "reason": str(error)} | NOTHING
    medians = [statistics.median(column) for column in times[1]]
    return about | {
        "status": "ok",
        "reason": None,
        "threads": {str(n): summary(own) for n, (own, *_) in times.items()},
        "float32_ratio": medians[0] / medians[1] if len(medians) == 2 else None,
        "operators": operators,
    }


def _runs(reference: Path) -> bool:
    return (reference / MODEL_FILE).is_file() and read_card(reference, VariantCard).status == "ok"


def take_turns(runners: Sequence[Runner], runs: int, warmup: int) -> list[list[float]]:
    """Milliseconds of every counted run of each runner.

    They take turns, every other round in the opposite order, on a face of noise.
    """
    face = np.random.default_rng(0).integers(0, 256, runners[0].input_shape, np.uint8)
    times: list[list[float]] = [[] for _ in runners]
    for turn in range(warmup + runs):
        order = range(len(runners)) if turn % 2 == 0 else reversed(range(len(runners)))
        for place in order:
            start = time.perf_counter_ns()
            runners[place].one(face)
            took = time.perf_counter_ns() - start
            if turn >= warmup:
                times[place].append(took / 1e6)
    return times


def summary(milliseconds: Sequence[float]) -> dict[str, float | int]:
    """Minimum, median and 95th percentile."""
    return {
        "min_ms": min(milliseconds),
        "median_ms": statistics.median(milliseconds),
        "p95_ms": float(np.percentile(milliseconds, 95)),
        "runs": len(milliseconds),
    }


def host() -> dict[str, str | int]:
    """What was measured on: architecture, processor, the cores we may use, operating system."""
    return {
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": platform.system(),
    }


def _cpu() -> str:
    """The processor's name: Linux keeps it in a file, elsewhere Python knows it."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+?)\s*$", path.read_text() if path.is_file() else "", re.M)
    return found[1] if found else platform.processor() or "unknown"
