"""What Arm's compiler Vela makes of a variant for an Ethos-U NPU, as on i.MX 93.

Needs the package `ethos-u-vela` (`pip install 'pocketface[micro]'`). Cycles and memory are Vela's estimates
for its default system (a client-server Ethos-U65 with 384 kB of SRAM), not measurements.
"""

import csv
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from pocketface.cards import Npu
from pocketface.core.errors import FULL
from pocketface.core.files import sha256
from pocketface.core.processes import run
from pocketface.tflite.file import TFLiteFile

U65 = "ethos-u65-256"
VELA = "from ethosu.vela.vela import main; main()"
SECONDS = 600


def suits(file: TFLiteFile) -> bool:
    """Whether an NPU has operators for it: integer activations, int8 weights."""
    return bool({"INT8", "INT16"} & set(file.activation_dtypes)) and "INT8" in file.large_weight_dtypes


def compile_for(file: Path, accelerator: str = U65) -> Npu | None:
    """Compiles a file; nothing where Vela is not installed.

    Where at least one operator runs on the NPU, the compiled model is left beside the file as
    `ACCELERATOR.tflite`, and Vela's summary as `ACCELERATOR.csv`. Both repeat byte for byte.

    Raises:
        OSError: the disk is full.
    """
    if find_spec("ethosu") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-c", VELA, str(file), "--accelerator-config", accelerator]
        command += ["--output-dir", folder, "--show-cpu-operations"]
        try:
            done = run(command, SECONDS, text=True)
        except subprocess.TimeoutExpired:
            return Npu(accelerator=accelerator, reason=f"Vela took more than {SECONDS} seconds")
        summaries = sorted(Path(folder).glob("*_summary_*.csv"))
        compiled = Path(folder) / f"{file.stem}_vela.tflite"
        if done.returncode != 0 or not summaries or not compiled.is_file():
            reason = _complaint(done.stdout + done.stderr)
            if FULL.search(reason):
                raise OSError(reason)
            return Npu(accelerator=accelerator, reason=reason)
        with summaries[0].open(encoding="utf-8", newline="") as opened:
            summary = next(csv.DictReader(opened))
        on_npu, on_cpu = (_count(done.stdout, place) for place in ("NPU", "CPU"))
        kept = file.with_name(f"{accelerator}.tflite")
        if on_npu:
            shutil.copyfile(compiled, kept)
            shutil.copyfile(summaries[0], kept.with_suffix(".csv"))
    return Npu(
        accelerator=accelerator,
        npu_operators=on_npu,
        cpu_operators=on_cpu,
        npu_share=on_npu / max(on_npu + on_cpu, 1),
        cycles=int(float(summary["cycles_total"])),
        sram_bytes=int(1024 * float(summary["sram_memory_used"])),
        file=kept.name if on_npu else None,
        sha256=sha256(kept) if on_npu else None,
    )


def _count(printed: str, place: str) -> int:
    found = re.search(rf"^{place} operators = (\d+)", printed, re.MULTILINE)
    return int(found[1]) if found else 0


def _complaint(printed: str) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return (errors or lines or ["Vela ended without a word"])[-1]
