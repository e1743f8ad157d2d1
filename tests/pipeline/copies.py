"""A copy of the repository with a study of its own, for tests of the whole graph.

copy = tiny_copy(folder, PARAMS)
copy.run("dvc", "repro", "report")
copy.outs()                        # {'models/expression/card.json': 'a3f...', ...}
"""

import copy
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import drawn_datasets as drawn
from pocketface.core.files import remove

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WITH_TIMINGS = ("timings/", "timings.json", "index.html", "comparison.md", "results.parquet", "latency")
"""Parts of the names of outs that hold timings, and so never repeat."""

PARAMS = {
    "study": "tiny",
    "seed": 1,
    "threads": 1,
    "holdout": "photos",
    "datasets": {
        "utkface": {"crop": {"policy": "one", "margin": 0.25, "size": 48}},
        "fer2013": {"crop": {"policy": "as_is", "size": 48, "channels": 1}},
        "photos": {"crop": {"policy": "largest", "upsample": 1, "margin": 0.6, "size": 96}},
    },
    "models": {
        "age_gender": {
            "dataset": "utkface",
            "architecture": "compact",
            "options": {"widths": [4, 8], "depths": [1, 1], "dropout": 0.0},
            "input": {"size": 32, "channels": 3, "margin": 0.2},
            "heads": ["age", "gender"],
            "training": {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "augment": {"flip": True}},
        },
    },
    "fetched": {
        "expression": {
            "weights": "weights/expression_compact",
            "dataset": "fer2013",
            "architecture": "compact",
            "options": {"widths": [32, 64, 96, 128], "depths": [1, 1, 2, 2], "dropout": 0.4},
            "input": {"size": 48, "channels": 1, "margin": 0.24, "shift": -0.13},
            "heads": ["expression"],
        },
    },
    "levels": {"float32": {}, "int8": {"calibration": 8}},
    "benchmark": {"runs": 3, "warmup": 0},
    "margins": {"years": 0.1, "share": 0.005},
    "groups": [],
    "champion": {},
    "cross_validate": {},
    "mix": [],
    "micro": ["expression"],
}


OUTS = ("data/raw", "data/faces", "data/views", "models", "exported", "variants", "evaluation", "reports")
"""Folders whose files repeat, but for those that hold timings."""
ALL_OUTS = (*OUTS, "data/imports", "timings", "dvc.lock")

ONE_MODEL = {
    **PARAMS,
    "datasets": {name: PARAMS["datasets"][name] for name in ("utkface", "photos")},
    "fetched": {},
    "micro": [],
}
"""The least study that has every stage of a trained model."""


class Copy:
    """A copy of the repository with a study of its own.

    Args:
        root: where; it must not exist.
        params: the params file.
        sources: where the datasets come from; without it, from where the repository says.
        mirror: a folder of their archives; without it, what the environment names.
    """

    def __init__(
        self,
        root: Path,
        params: Mapping[str, Any],
        sources: Mapping[str, Any] | None = None,
        mirror: Path | None = None,
    ) -> None:
        self.root = root
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("stages", "src", "weights"):
            shutil.copytree(REPOSITORY / name, root / name, ignore=ignored)
        for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(REPOSITORY / name, root)
        (root / "micro").mkdir()
        shutil.copy(REPOSITORY / "micro/README.md", root / "micro")
        (root / "data").mkdir()
        (root / "baselines").mkdir()
        if sources is None:
            shutil.copy(REPOSITORY / "data/sources.yaml", root / "data")
        else:
            (root / "data/sources.yaml").write_text(yaml.safe_dump(dict(sources)))
        self.params(params)
        self._environment = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(root / "src"),
            "PYTHONUNBUFFERED": "1",  # of a command that is killed, all that it printed is wanted
            "HOME": str(root / "home"),
            **({"POCKETFACE_MIRROR": str(mirror)} if mirror else {}),
        }
        self._environment.pop("MLFLOW_TRACKING_URI", None)
        self.run("git", "init", "-q")
        self.run("dvc", "init", "-q")
        (root / ".git/info/exclude").write_text("/home/\n")
        self.run("git", "config", "core.compression", "0")  # weights hardly become smaller
        self.run("git", "config", "user.email", "tests@example.org")
        self.run("git", "config", "user.name", "Tests")

    def clone(self, root: Path) -> "Copy":
        """What `git clone` makes of it."""
        self.run("git", "clone", "-q", str(self.root), str(root))
        other = copy.copy(self)
        other.root = root
        other._environment = self._environment | {"PYTHONPATH": str(root / "src")}
        return other

    def commit(self) -> None:
        """Commits all that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "-qm", "A run")

    def params(self, params: Mapping[str, Any]) -> None:
        """Writes the params file."""
        (self.root / "params.yaml").write_text(yaml.safe_dump(dict(params)))

    def start(self, *command: str) -> subprocess.Popen:
        """Starts a command as the leader of a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str) -> str:
        """Runs to the end and returns what was printed; fails the test if the command failed."""
        process = self.start(*command)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed

    def timed(self, *command: str) -> float:
        """Seconds that a command takes."""
        started = time.monotonic()
        self.run(*command)
        return time.monotonic() - started

    def run_and_kill(self, seconds: float, *command: str) -> tuple[str, int]:
        """Runs a command and kills it with all its processes after so long, if it has not ended before.

        Returns:
            What it had printed, and its exit code: `-SIGKILL` of one that was killed.
        """
        process = self.start(*command)
        try:
            printed, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
        return printed, process.returncode

    def forget(self, *names: str) -> None:
        """Removes files and folders of the copy, as if nothing had made them yet."""
        for name in names:
            remove(self.root / name)

    def changed_by(self, params: dict) -> set[str]:
        """The stages that other params reach directly; `dvc repro` runs them, then what depends on them."""
        self.params(params)
        printed = self.run("dvc", "repro", "--dry")
        self.params(PARAMS)
        return {line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage")}

    def outs(self) -> dict[str, str]:
        """File below the outs -> SHA-256, but for those that hold timings."""
        files = [path for folder in OUTS for path in (self.root / folder).rglob("*") if path.is_file()]
        names = {path.relative_to(self.root).as_posix(): path for path in files}
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in names.items()
            if not any(part in name for part in WITH_TIMINGS) and not path.name.startswith(".")
        }


def tiny_copy(folder: Path, params: Mapping[str, Any] = ONE_MODEL) -> Copy:
    """A copy in `folder/copy`, with the datasets of `PARAMS` drawn into a mirror beside it."""
    members = {"utkface": drawn.utkface(90), "fer2013": drawn.fer2013(70), "photos": drawn.photos(8)}
    sources = {"datasets": drawn.make_mirror(folder / "mirror", members)}
    return Copy(folder / "copy", params, sources, folder / "mirror")
