"""A browser and the page's runtime, and two tiny models that tell faces apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketface.app.runtime import runtime as fetched
from pocketface.core.errors import PocketfaceError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def runtime(chromium: str) -> Path:
    """LiteRT.js, where there is a browser to run it."""
    try:
        return fetched()
    except PocketfaceError as error:
        pytest.skip(f"LiteRT.js could not be had: {error}")


@pytest.fixture(scope="session")
def variants(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`age_gender` and `expression` at four levels each, converted in another process.

    It takes a while, so not where there is no page to run them.
    """
    folder = tmp_path_factory.mktemp("variants")
    script = Path(__file__).with_name("write_variants.py")
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")])
    subprocess.run(
        [sys.executable, script, folder],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    return folder
