"""Killing the graph, and `pocketface track`, at random moments, and making good afterwards.

    random = np.random.default_rng(1)
    for ending in kill_repro(copy, expected, seconds, kills=30, random=random, row=10):
        ending.stages, ending.differing

A kill is SIGKILL to the whole process group: what a power cut or a closed container does to DVC, to the stage
that runs and to the stage's own processes at once.

DVC writes `dvc.lock` in place after every stage. A kill in those milliseconds may leave a part of it that DVC
cannot read: it then says so, and the file has to be removed. What it stood for comes out of DVC's run cache.
"""

import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from copies import ALL_OUTS, Copy

REPRO = ("dvc", "repro")
RUN = ("pocketface", "run")
STAGE = re.compile(r"(?:Running stage|Stage) '(\w+)|^\d+:\d\d (\w+)", re.MULTILINE)
"""A stage's beginning, as one or the other prints it."""
LOCK = "dvc.lock"
UNREADABLE = tuple(
    f"{LOCK}'{words}" for words in (" validation failed", " is invalid", ", YAML file structure is corrupted")
)
KILLED = -signal.SIGKILL
"""Exit code."""
WORDS = 6
"""Last lines of a command that failed."""
TRACKED = ("mlflow.db", "mlartifacts")


@dataclass(frozen=True)
class Ending:
    """What a command made of one or more kills in a row, when it ran to its end after them.

    Attributes:
        stages: what had begun last, a kill each; empty before the first stage, and of `pocketface track`.
        fresh: whether DVC's cache was empty at first.
        locks_lost: how often `dvc.lock` had to be removed.
        differing: files that are not as they should be, or what MLflow has too often or not at all.
    """

    stages: tuple[str, ...]
    fresh: bool
    locks_lost: int
    differing: tuple[str, ...]


def kill_repro(
    copy: Copy,
    expected: Mapping[str, str],
    seconds: float,
    kills: int,
    random: np.random.Generator,
    row: int = 1,
    command: Sequence[str] = REPRO,
) -> Iterator[Ending]:
    """Kills the graph at a random moment and runs it again, in the end undisturbed, and compares the outs.

    Each time it starts without outs. Kills in a row, and of single ones every sixth, start with an empty
    cache; the others with one that knows what most stages made, and a random third of them is run.

    Args:
        copy: the repository; whatever it has made is removed.
        expected: file -> SHA-256, of a run that nobody disturbed.
        seconds: how long such a run takes with an empty cache.
        kills: how many in all.
        row: how many one after the other, each but the first of the command that makes good the last.
        command: what runs the graph, `REPRO` or `RUN`.
    """
    done = 0
    while done < kills:
        fresh = row > 1 or done % 6 == 0
        copy.forget(*ALL_OUTS)
        if fresh:
            copy.forget("data/archives", ".dvc/cache")
        else:
            known = sorted(copy.root.glob(".dvc/cache/runs/*/*"))
            copy.forget(*random.choice([str(path) for path in known], len(known) // 3, replace=False))
        longest = min(2 / row, 1) * seconds if fresh else seconds / 2
        stages: list[str] = []
        locks_lost = 0
        while len(stages) < min(row, kills - done):
            moment = random.uniform(0, longest)
            printed, code = copy.run_and_kill(moment, *command)
            if code == KILLED:
                reached = STAGE.findall(printed)
                stages.append("".join(reached[-1]) if reached else "")
            elif code and not unreadable(printed):
                raise AssertionError(printed)
            elif code:
                copy.forget(LOCK)
                locks_lost += 1
            else:  # it had ended
                break
        if not stages:  # the machine is faster than it was
            seconds = moment if fresh else 2 * moment
            continue
        differing = again(copy, *command)
        if unreadable("".join(differing)):
            copy.forget(LOCK)
            locks_lost += 1
            differing = again(copy, *command)
        found = copy.outs()
        differing |= {name for name in {*expected, *found} if expected.get(name) != found.get(name)}
        yield Ending(tuple(stages), fresh, locks_lost, tuple(sorted(differing)))
        done += len(stages)


def kill_track(
    copy: Copy, expected: list[str], seconds: float, kills: int, random: np.random.Generator
) -> Iterator[Ending]:
    """Kills `pocketface track` into an empty store, publishes again, and looks for doubles; so many times.

    Args:
        copy: the repository, with its outs.
        expected: what `published` finds after a run that nobody disturbed.
        seconds: how long an undisturbed `track` takes.
    """
    done = 0
    while done < kills:
        copy.forget(*TRACKED)
        moment = random.uniform(0, seconds)
        printed, code = copy.run_and_kill(moment, "pocketface", "track")
        if code != KILLED:
            assert not code, printed
            seconds = moment
            continue
        wrong = again(copy, "pocketface", "track")
        found = published(copy)
        wrong |= {name for name in {*expected, *found} if found.count(name) != expected.count(name)}
        yield Ending(("",), True, 0, tuple(sorted(wrong)))
        done += 1


def unreadable(printed: str) -> bool:
    """Whether DVC says that it cannot read `dvc.lock`."""
    return any(words in printed for words in UNREADABLE)


def again(copy: Copy, *command: str) -> set[str]:
    """Runs a command that was killed; returns how it ended if it fails, which it should not."""
    process = copy.start(*command)
    printed, _ = process.communicate()
    if not process.returncode:
        return set()
    said = [line for line in printed.splitlines() if line.strip() and not line.startswith("Updating")]
    return {f"{' '.join(command)} ended with {process.returncode}: {' '.join(said[-WORDS:])}"}


def published(copy: Copy) -> list[str]:
    """What the copy's MLflow store holds: runs, models, and versions of registered models, by their names."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{copy.root / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    names = {run.info.run_id: run.info.run_name for run in runs}
    return sorted(
        [
            *(f"run {run.info.run_name} {run.info.status}" for run in runs),
            *(f"model of {names.get(m.source_run_id)}" for m in client.search_logged_models(experiments)),
            *(f"version {v.name} of {names.get(v.run_id)}" for v in client.search_model_versions()),
        ]
    )
