"""Crops slowly, in shards of four, in a process that a test can kill: ARCHIVE OUT WORKERS SETTINGS."""

import sys
from pathlib import Path

import slow_worker  # noqa: F401

from pocketface.cropping import build
from pocketface.faces.settings import Dataset

if __name__ == "__main__":
    archive, out, workers, settings = sys.argv[1:]
    build.SHARD = 4
    build.build("fer2013", Path(archive), Dataset.model_validate_json(settings), Path(out), int(workers))
