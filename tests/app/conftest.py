"""The detector, the built page and a browser, and two tiny models that tell faces apart."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pocketface.app.bundle import detector_file
from pocketface.core.errors import PocketfaceError

REPOSITORY = Path(__file__).parents[2]
APP = REPOSITORY / "app"


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
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here: `apt-get install chromium`")


@pytest.fixture(scope="session")
def dist() -> Path:
    """The built page; built anew when a source is newer."""
    if shutil.which("node") is None or not (APP / "node_modules/playwright-core").is_dir():
        pytest.skip("Node or the page's packages are missing: `npm ci --prefix app`")
    sources = [*APP.glob("*.*"), *(APP / "src").iterdir(), *(APP / "public").iterdir()]
    built = APP / "dist/index.html"
    if not built.is_file() or built.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        subprocess.run(["npm", "run", "build"], cwd=APP, check=True, capture_output=True)
    return APP / "dist"


@pytest.fixture(scope="session")
def variants(dist: Path, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
