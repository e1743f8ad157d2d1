"""Kills the graph and `pocketface track` at random moments, and says what a second run made of it.

PYTHONPATH=tests:tests/pipeline python benchmarks/reliability.py --kills 30 --row 10 --track-kills 10 --seed 1

Runs in a copy of the repository: the least study on drawn faces, or, with `--study studies/NAME.yaml`, a
study of your choice, whose archives come from where `dvc repro` would have them. First a run that nobody
disturbs; then, so many times, SIGKILL to `dvc repro` (with `--run`, `pocketface run`) and all its processes
at a random moment, and the same again, which with `--row` is itself killed until so many kills have come in a
row; and a comparison of all outs byte for byte. The same with `pocketface track`, into an empty store. Writes
its section of reports/reliability.md after every comparison. See tests/pipeline/kills.py.

    PYTHONPATH=tests:tests/pipeline python benchmarks/reliability.py --lock-kills 200 --seed 1

Kills DVC at the moments around a stage's end, in a graph of two stages that take no time, and nothing else;
see tests/lock_kills.py.
"""

import argparse
import random as python_random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM

import numpy as np
import yaml
from copies import Copy, tiny_copy
from kills import REPRO, RUN, Ending, kill_repro, kill_track, published
from sections import write_section

from lock_kills import ENDED, WRITING, WRITTEN, Kill, kill_at_stage_ends, repository

PAGE = Path("reports/reliability.md")


def main() -> None:
    """Prints every kill and writes the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--row", type=int, default=1)
    parser.add_argument("--track-kills", type=int, default=10)
    parser.add_argument("--lock-kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    if args.lock_kills:
        kill_lock(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.study:
            copy = Copy(Path(folder, "copy"), yaml.safe_load(args.study.read_text()))
        else:
            copy = tiny_copy(Path(folder))
        random, command = np.random.default_rng(args.seed), RUN if args.run else REPRO
        seconds = copy.timed(*command, "report")
        copy.run("pocketface", "check", "--update")
        copy.run(*command)
        expected = copy.outs()
        repro: list[Ending] = []
        track: list[Ending] = []
        for ending in kill_repro(copy, expected, seconds, args.kills, random, args.row, command):
            repro.append(ending)
            told(args, repro, track, len(expected))
        seconds = copy.timed("pocketface", "track")
        for ending in kill_track(copy, published(copy), seconds, args.track_kills, random):
            track.append(ending)
            told(args, repro, track, len(expected))


def kill_lock(args: argparse.Namespace) -> None:
    """Prints every kill around a stage's end and writes the section after it."""
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory() as folder:
        rng = python_random.Random(args.seed)
        for kill in kill_at_stage_ends(repository(Path(folder)), args.lock_kills, rng):
            print(kill, flush=True)
            kills.append(kill)
            write_section(args.page, "Killed around a stage's end", "\n".join(lock_lines(kills, args.seed)))


def lock_lines(kills: Sequence[Kill], seed: int) -> list[str]:
    """The text and the table of the section."""
    lines = [
        "`PYTHONPATH=tests:tests/pipeline python benchmarks/reliability.py --lock-kills "
        f"{len(kills)} --seed {seed}`: a moment after one of those below, all processes are ended; then "
        "`pocketface.lockfile.heal`, as `pocketface run` does, and `dvc repro`. Good is the `dvc.lock`, byte "
        "for byte, and the outs of a run that nobody disturbs.",
        "",
        "| a moment after | kills | left `dvc.lock` empty | cut off | as before | new | taken back | good |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for moment in (ENDED, WRITING, WRITTEN):
        those = [kill for kill in kills if kill.moment == moment]
        states = Counter(kill.lock for kill in those)
        counts = [len(those), *(states[state] for state in ("empty", "cut off", "as before", "new"))]
        counts += [sum(kill.taken_back for kill in those), sum(kill.good for kill in those)]
        lines.append(f"| {moment} | {' | '.join(map(str, counts))} |")
    two, term = sum(kill.writers == 2 for kill in kills), sum(kill.signal == SIGTERM for kill in kills)
    users = sum(kill.users_damaged for kill in kills)
    return [
        *lines,
        "",
        f"In {two} of the {len(kills)} two DVCs were at work, as in the lanes of `pocketface run`; {term} "
        f"were ended by SIGTERM, the others by SIGKILL. {users} left DVC's `.dvc/tmp/rwlock`, its list of "
        "who reads and writes what, unreadable, at which plain DVC fails ever after; `heal` removes it.",
    ]


def told(args: argparse.Namespace, repro: Sequence[Ending], track: Sequence[Ending], files: int) -> None:
    """Prints the last one, and writes what is known of all."""
    print([*repro, *track][-1], flush=True)
    options = f" --study {args.study.as_posix()}" if args.study else ""
    options += " --run" if args.run else ""
    command = " ".join(RUN if args.run else REPRO)
    stages = Counter(stage or "before the first stage" for ending in repro for stage in ending.stages)
    fell = ", ".join(f"{stage} {count}" for stage, count in sorted(stages.items()))
    in_a_row = ", in a row " + ", ".join(str(len(ending.stages)) for ending in repro) if args.row > 1 else ""
    fresh = sum(ending.fresh for ending in repro)
    others = ", the others with one that lacked a third of the stages" if fresh < len(repro) else ""
    lines = [
        f"`PYTHONPATH=tests:tests/pipeline python benchmarks/reliability.py{options} --kills {killed(repro)} "
        f"--row {args.row} --track-kills {killed(track)} --seed {args.seed}`: SIGKILL to the whole process "
        f"group at a random moment, and then the command again{in_a_row}.",
        "",
        "| killed | kills | runs to the end | of these good | not as an undisturbed run leaves it |",
        "| :-- | --: | --: | --: | :-- |",
        row(f"`{command}`, {files} files compared byte for byte", repro),
        row("`pocketface track`, runs, models and versions counted", track),
        "",
        f"Where `{command}` was killed: {fell}. {fresh} times it began with an empty cache of DVC{others}. "
        f"{sum(ending.locks_lost for ending in repro)} times a kill fell into DVC's writing of `dvc.lock`, "
        "which then had to be removed.",
    ]
    study = f"study `{args.study.stem}`" if args.study else "the least study"
    write_section(args.page, f"Killed at random: `{command}`, {study}", "\n".join(lines))


def killed(endings: Sequence[Ending]) -> int:
    """How many kills."""
    return sum(len(ending.stages) for ending in endings)


def row(what: str, endings: Sequence[Ending]) -> str:
    """A row of the table."""
    wrong = sorted({name for ending in endings for name in ending.differing})
    good = sum(not ending.differing for ending in endings)
    return f"| {what} | {killed(endings)} | {len(endings)} | {good} | {', '.join(wrong) or 'nothing'} |"


if __name__ == "__main__":
    main()
