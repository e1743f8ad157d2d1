"""The stage as `dvc repro` runs it: a process of its own, in the root of a repository."""

import hashlib
import io
import lzma
import os
import random
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from loopback import BLOCK, Site

from pocketface import published
from pocketface.fetching.archives import Archive, pack

STAGE = Path(__file__).parents[2] / "stages" / "fetch_data.py"


def archive(members: int, size: int) -> bytes:
    """A tar.xz that hardly compresses."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for i in range(members):
            info = tarfile.TarInfo(f"faces/{i}.jpg")
            info.size = size
            tar.addfile(info, io.BytesIO(random.Random(i).randbytes(size)))
    return lzma.compress(buffer.getvalue(), preset=0)


def repository(folder: Path, content: bytes, sha256: str | None = None) -> Path:
    """A folder with a `data/sources.yaml` of one dataset, `faces`."""
    source = {"title": "faces", "licence": "none", "files": [{"mirror": "x/x.tar.xz", "sha256": sha256}]}
    (folder / "data").mkdir(parents=True)
    (folder / "data/sources.yaml").write_text(yaml.safe_dump({"datasets": {"faces": source}}))
    (folder / "mirror/x").mkdir(parents=True)
    (folder / "mirror/x/x.tar.xz").write_bytes(content)
    return folder


def start(root: Path, mirror: str, dataset: str = "faces") -> subprocess.Popen[str]:
    environment = {**os.environ, "POCKETFACE_MIRROR": mirror}
    command = [sys.executable, str(STAGE), dataset]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=root, env=environment, text=True, **pipes)


def run(root: Path, mirror: str = "mirror", dataset: str = "faces") -> subprocess.CompletedProcess[str]:
    process = start(root, mirror, dataset)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def packed(root: Path) -> bytes:
    return (root / "data/raw/faces/files.zip").read_bytes()


def test_a_mirror_folder_becomes_one_zip_and_stays_the_same(tmp_path: Path):
    content = archive(members=3, size=1000)
    root = repository(tmp_path, content, hashlib.sha256(content).hexdigest())
    done = run(root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "data/raw/faces/files.zip: 3 files\n", "")
    first = packed(root)
    with zipfile.ZipFile(root / "data/raw/faces/files.zip") as files:
        assert files.namelist() == ["faces/0.jpg", "faces/1.jpg", "faces/2.jpg"]
    assert run(root, mirror="").returncode == 0
    assert packed(root) == first


def test_bad_input_is_one_line_and_exit_status_2(tmp_path: Path):
    root = repository(tmp_path, archive(members=1, size=10), "0" * 64)
    for dataset, message in [("faces", "SHA-256 should be 000"), ("unknown", "no dataset 'unknown'")]:
        done = run(root, dataset=dataset)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (root / "data/raw").exists()


def test_synthetic_photographs_are_rendered(tmp_path: Path):
    root = repository(tmp_path, b"")
    shutil.copytree(published.folder() / "faces-generator", root / "weights/faces-generator")
    rendered = {"generator": "weights/faces-generator", "photographs": 3, "seed": 7}
    source = {"title": "synthetic", "licence": "none", "rendered": rendered}
    (root / "data/sources.yaml").write_text(yaml.safe_dump({"datasets": {"faces": source}}))
    done = run(root)
    assert (done.returncode, done.stdout) == (0, "data/raw/faces/files.zip: 3 files\n"), done.stderr
    with zipfile.ZipFile(root / "data/raw/faces/files.zip") as files:
        assert [name.split("_")[0] for name in files.namelist()] == [f"starter/0000{i}" for i in range(3)]
    (root / "weights/faces-generator/decoder.tflite").unlink()
    done = run(root)
    assert done.returncode == 2
    assert "decoder.tflite: no such file" in done.stderr


def killed_while_downloading(root: Path, site: Site, after: int) -> bool:
    """Runs the stage and kills it once the server has sent `after` more bytes; whether it was in time."""
    reached = threading.Event()
    goal = site.sent + after

    def slowly() -> None:
        time.sleep(0.001)
        if site.sent >= goal:
            reached.set()

    site.on_block = slowly
    process = start(root, site.url("mirror"))
    try:
        assert reached.wait(60)
    finally:
        process.kill()
        process.communicate()
    return process.returncode == -9


def test_a_download_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path, site: Site):
    content = archive(members=60, size=20_000)
    root = repository(tmp_path, content)
    undisturbed = tmp_path / "undisturbed.zip"
    pack([Archive("x.tar.xz", (root / "mirror/x/x.tar.xz",))], undisturbed)
    site.files["mirror/x/x.tar.xz"] = content
    chance = random.Random(3)
    for _ in range(3):
        after = chance.randrange(8 * BLOCK, len(content) // 6)
        assert killed_while_downloading(root, site, after)
        assert not (root / "data/archives/x/x.tar.xz").exists()
    done = run(root, site.url("mirror"))
    assert done.returncode == 0, done.stderr
    assert packed(root) == undisturbed.read_bytes()
    starts = [int(wanted[6:-1]) for wanted in site.ranges("mirror/x/x.tar.xz") if wanted]
    assert starts == sorted(starts), "no run goes back to before where the last one was killed"
    assert starts[-1] > 0


@pytest.mark.slow
def test_twenty_kills_at_any_moment_of_download_and_unpacking_change_no_byte(tmp_path: Path, site: Site):
    content = archive(members=2000, size=8_000)
    undisturbed = repository(tmp_path / "undisturbed", content)
    began = time.monotonic()
    assert run(undisturbed).returncode == 0
    whole = time.monotonic() - began
    root = repository(tmp_path / "killed", content)
    site.files["mirror/x/x.tar.xz"] = content
    chance = random.Random(4)
    kills = 0
    while kills < 20:
        process = start(root, site.url("mirror"))
        time.sleep(chance.uniform(0, 1.5 * whole))
        process.kill()
        process.communicate()
        kills += process.returncode == -9
        if process.returncode == 0:
            assert packed(root) == packed(undisturbed)
            (root / "data/archives/x/x.tar.xz").unlink()
    assert run(root, site.url("mirror")).returncode == 0
    assert packed(root) == packed(undisturbed)
