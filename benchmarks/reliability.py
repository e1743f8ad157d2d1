"""Kills the graph and `pocketface track` at random moments, and says what a second run made of it.

PYTHONPATH=tests:tests/pipeline python benchmarks/reliability.py --kills 30 --track-kills 10 --seed 1

Runs in a copy of the repository: the least study on drawn faces, or, with `--study studies/NAME.yaml`, a
study of your choice, whose archives come from where `dvc repro` would have them. First a run that nobody
disturbs; then, so many times, SIGKILL to `dvc repro` and all its processes at a random moment, `dvc repro`
again, and a comparison of all outs byte for byte. The same with `pocketface track`, into an empty store.
Writes its section of reports/reliability.md after every kill. See tests/pipeline/kills.py.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from copies import ONE_MODEL, Copy, tiny_mirror
from kills import Kill, kill_repro, kill_track, published
from sections import write_section

PAGE, TITLE = Path("reports/reliability.md"), "Killed at random"


def main() -> None:
    """Prints every kill and writes the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--track-kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy, random = copied(args.study, Path(folder)), np.random.default_rng(args.seed)
        seconds = timed(copy, "dvc", "repro", "report")
        copy.run("pocketface", "check", "--update")
        copy.run("dvc", "repro")
        expected = copy.outs()
        repro: list[Kill] = []
        track: list[Kill] = []
        for kill in kill_repro(copy, expected, seconds, args.kills, random):
            repro.append(kill)
            told(args, repro, track, len(expected))
        seconds = timed(copy, "pocketface", "track")
        for kill in kill_track(copy, published(copy), seconds, args.track_kills, random):
            track.append(kill)
            told(args, repro, track, len(expected))


def copied(study: Path | None, folder: Path) -> Copy:
    """A copy of the repository with the study."""
    if study is not None:
        return Copy(folder / "copy", yaml.safe_load(study.read_text()))
    mirror, sources = tiny_mirror(folder)
    return Copy(folder / "copy", ONE_MODEL, sources, mirror)


def timed(copy: Copy, *command: str) -> float:
    """Seconds that a command takes."""
    started = time.monotonic()
    copy.run(*command)
    return time.monotonic() - started


def told(args: argparse.Namespace, repro: Sequence[Kill], track: Sequence[Kill], files: int) -> None:
    """Prints the last kill, and writes what is known of all."""
    print([*repro, *track][-1], flush=True)
    study = f" --study {args.study.as_posix()}" if args.study else ""
    stages = Counter(kill.stage or "before the first stage" for kill in repro)
    fell = ", ".join(f"{stage} {count}" for stage, count in sorted(stages.items()))
    lines = [
        f"`PYTHONPATH=tests:tests/pipeline python benchmarks/reliability.py{study} --kills {len(repro)} "
        f"--track-kills {len(track)} --seed {args.seed}`: SIGKILL to the whole process group at a random "
        "moment, and then the command again.",
        "",
        "| killed | kills | made good | not as an undisturbed run leaves it |",
        "| :-- | --: | --: | :-- |",
        row(f"`dvc repro`, {files} files compared byte for byte", repro),
        row("`pocketface track`, runs, models and versions counted", track),
        "",
        f"Where `dvc repro` was killed: {fell}. In {sum(kill.fresh for kill in repro)} of the "
        f"{len(repro)} kills DVC's cache was empty; in the others it lacked a third of the stages. "
        f"In {sum(kill.lock_lost for kill in repro)} the kill fell into DVC's writing of `dvc.lock`, which "
        "then had to be removed.",
    ]
    write_section(args.page, TITLE, "\n".join(lines))


def row(what: str, kills: Sequence[Kill]) -> str:
    """A row of the table."""
    wrong = sorted({name for kill in kills for name in kill.differing})
    good = sum(not kill.differing for kill in kills)
    return f"| {what} | {len(kills)} | {good} | {', '.join(wrong) or 'nothing'} |"


if __name__ == "__main__":
    main()
