"""The detector, and a bundle of two tiny models that answer differently from face to face."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketface.app.bundle import detector_file
from pocketface.errors import PocketfaceError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def detector() -> Path:
    """BlazeFace's file, as `export_app` gets it; kept in data/archives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        try:
            return detector_file().resolve()
        except PocketfaceError as error:
            pytest.skip(f"the face detector could not be had: {error}")


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`age_gender` and `expression` at three levels each, converted in another process."""
    folder = tmp_path_factory.mktemp("variants")
    script = Path(__file__).with_name("making_variants.py")
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")])
    subprocess.run(
        [sys.executable, script, folder],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    return folder
