"""Killing the graph, and `pocketface track`, at random moments, and making good afterwards.

    random = np.random.default_rng(1)
    for kill in kill_repro(copy, expected, seconds, kills=30, random=random):
        kill.stage, kill.differing

A kill is SIGKILL to the whole process group: what a power cut or a closed container does to DVC, to the stage
that runs and to the stage's own processes at once.

DVC writes `dvc.lock` in place after every stage. A kill in those milliseconds may leave a part of it that DVC
cannot read: it then says so, and the file has to be removed. What it stood for comes out of DVC's run cache.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from copies import ALL_OUTS, Copy

LOCK = "dvc.lock"
UNREADABLE = (f"{LOCK}' validation failed", f"{LOCK}', YAML file structure is corrupted")
WORDS = 6
"""Last lines of a command that failed."""
TRACKED = ("mlflow.db", "mlartifacts")


@dataclass(frozen=True)
class Kill:
    """One kill, and what a second run made of it.

    Attributes:
        stage: at what DVC was; empty before the first stage, and of `pocketface track`.
        fresh: whether DVC's cache was empty.
        lock_lost: whether `dvc.lock` had to be removed.
        differing: files that are not as they should be after the second run, or what MLflow has too often or
            not at all.
    """

    stage: str
    fresh: bool
    lock_lost: bool
    differing: tuple[str, ...]


def kill_repro(
    copy: Copy, expected: Mapping[str, str], seconds: float, kills: int, random: np.random.Generator
) -> Iterator[Kill]:
    """Kills `dvc repro` at a random moment, runs it again, and compares the outs; so many times.

    Each time it starts without outs. Every sixth time DVC's cache is empty; else it knows what most stages
    made, and a random third of them is run.

    Args:
        copy: the repository; whatever it has made is removed.
        expected: file -> SHA-256, of a run that nobody disturbed.
        seconds: how long such a run takes with an empty cache.
    """
    done = 0
    while done < kills:
        fresh = done % 6 == 0
        copy.forget(*ALL_OUTS)
        if fresh:
            copy.forget("data/archives", ".dvc/cache")
        else:
            known = sorted(copy.root.glob(".dvc/cache/runs/*/*"))
            copy.forget(*random.choice([str(path) for path in known], len(known) // 3, replace=False))
        moment = random.uniform(0, seconds if fresh else seconds / 2)
        printed = copy.run_and_kill(moment, "dvc", "repro")
        if printed is None:  # it had ended: no kill, and the machine is faster than it was
            seconds = moment if fresh else 2 * moment
            continue
        differing = again(copy, "dvc", "repro")
        lock_lost = any(words in told for told in differing for words in UNREADABLE)
        if lock_lost:
            copy.forget(LOCK)
            differing = again(copy, "dvc", "repro")
        found = copy.outs()
        differing |= {name for name in {*expected, *found} if expected.get(name) != found.get(name)}
        stages = re.findall(r"(?:Running stage|Stage) '(\w+)", printed)
        yield Kill(stages[-1] if stages else "", fresh, lock_lost, tuple(sorted(differing)))
        done += 1


def kill_track(
    copy: Copy, expected: list[str], seconds: float, kills: int, random: np.random.Generator
) -> Iterator[Kill]:
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
        if copy.run_and_kill(moment, "pocketface", "track") is None:
            seconds = moment
            continue
        wrong = again(copy, "pocketface", "track")
        found = published(copy)
        wrong |= {name for name in {*expected, *found} if found.count(name) != expected.count(name)}
        yield Kill("", True, False, tuple(sorted(wrong)))
        done += 1


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
