"""How long a model's variants take for one face, on this machine.

All variants take turns, run by run, so that other load on the machine touches all. Variants with the same
file are timed once.
"""

import os
import platform
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketface.cards import MODEL_FILE, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.latency.profile import profile
from pocketface.tflite.run import KERNELS, Runner


def benchmark(
    variants: Mapping[str, Path], threads: Sequence[int], runs: int, warmup: int, profiled: bool = False
) -> dict[str, dict[str, Any]]:
    """Times the variants of a model.

    Args:
        variants: level -> its folder.
        threads: thread settings to measure, 1 among them: the ratio is taken there.
        runs: per thread setting, of one face each.
        warmup: runs before these that do not count.
        profiled: whether to ask LiteRT's profiler, in other runs, for it costs time.

    Returns:
        Level -> what goes into `timings/MODEL/LEVEL.json`: `model`, `level`, `status`, `reason`, `host`,
        `kernels`, `threads`: {"1": {"min_ms", "median_ms", "p95_ms", "runs"}} and `float32_ratio`, the median
        over float32's (null where that does not run), and `operators`, see `pocketface.latency.profile` (null
        if not `profiled`). A variant that failed, is unavailable or does not run has that status and reason.

    Raises:
        PocketfaceError: a variant has no card.
    """
    cards = {level: read_card(folder, VariantCard) for level, folder in variants.items()}
    why = {level: (card.status, card.reason) for level, card in cards.items() if card.status != "ok"}
    files = {level: variants[level] / MODEL_FILE for level in cards if level not in why}
    first: dict[str, str] = {}
    same = {level: first.setdefault(sha256(file), level) for level, file in files.items()}
    runners: dict[str, list[Runner]] = {}
    operators: dict[str, Any] = {}
    for level in first.values():
        try:
            warm = [Runner(files[level], n) for n in threads]
            for runner in warm:
                runner.one(_face(runner))
            operators[level] = profile(files[level], runs) if profiled else None
            runners[level] = warm
        except PocketfaceError as error:
            why[level] = ("failed", str(error))
    times: dict[str, dict[str, list[float]]] = {level: {} for level in runners}
    for i, n in enumerate(threads):
        taken = take_turns([of[i] for of in runners.values()], runs, warmup)
        for level, milliseconds in zip(runners, taken, strict=True):
            times[level][str(n)] = milliseconds
    medians = {level: statistics.median(of["1"]) for level, of in times.items()}
    float32 = medians.get(same.get("float32", "float32"))
    found: dict[str, dict[str, Any]] = {}
    for level, card in cards.items():
        timed = same.get(level, level)
        status, reason = why.get(timed, ("ok", None))
        found[level] = {
            "model": card.model,
            "level": level,
            "host": host(),
            "kernels": KERNELS,
            "status": status,
            "reason": reason,
            "threads": {n: summary(milliseconds) for n, milliseconds in times.get(timed, {}).items()},
            "float32_ratio": medians[timed] / float32 if float32 and timed in medians else None,
            "operators": operators.get(timed),
        }
    return found


def take_turns(runners: Sequence[Runner], runs: int, warmup: int) -> list[list[float]]:
    """Milliseconds of every counted run of each runner, on a face of noise; each round's order is drawn."""
    times: list[list[float]] = [[] for _ in runners]
    faces, draw = [_face(runner) for runner in runners], np.random.default_rng(0)
    for turn in range(warmup + runs):
        for place in draw.permutation(len(runners)):
            start = time.perf_counter_ns()
            runners[place].one(faces[place])
            took = time.perf_counter_ns() - start
            if turn >= warmup:
                times[place].append(took / 1e6)
    return times


def _face(runner: Runner) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, runner.input_shape, np.uint8)


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
