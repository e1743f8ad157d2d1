"""What sdist and wheel hold, built in a clone that has run."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from pocketface.published import DEFAULT_MODELS
from private_files import plant, strangers

REPOSITORY = Path(__file__).parents[1]
BUILT_FROM = (
    "src",
    "weights",
    "data/sources.yaml",
    "params.yaml",
    "pyproject.toml",
    ".gitignore",
    ".dvc/.gitignore",
)
TEXTS = ("README.md", "LICENSE", "CHANGELOG.md")
OUTS = """
    . .dvc .dvc/cache/files/md5/ab .dvc/tmp .venv/lib data data/archives data/raw/utkface data/faces/utkface
    data/views/age_gender data/contact_sheets models/age_gender folds/age_gender variants/age_gender/int8
    evaluation/age_gender/int8 timings/age_gender reports/mine/plots runs/age_gender check
    mlruns/0 mlartifacts/1 mlartifacts/models/m-1/artifacts/data
    tests docs stages studies src src/pocketface src/pocketface/app/page src/pocketface/datasets
    src/pocketface/report/template src/pocketface/__pycache__
    weights weights/age_gender weights/age_gender/int8 weights/faces-generator weights/mine
""".split()
"""Where a run writes, and where people leave things."""
PACKAGE = (
    r"pocketface/(\w+/)*\w+\.py",
    r"pocketface/py\.typed",
    r"pocketface/(app/alignment\.json|cropping/(\w+\.tflite|hog\.svm))",
    r"pocketface/app/page/(\w+\.(html|css|js|webmanifest)|icon-\w+\.png)",
    r"pocketface/report/template/page\.(css|js|html\.j2)",
)
WEIGHTS = (
    r"weights/WEIGHTS\.md",
    r"weights/\w+/card\.json",
    r"weights/\w+/\w+/(card\.json|model\.tflite)",
    r"weights/faces-generator/(card\.json|decoder\.tflite)",
)
SDIST = (
    *(f"src/{name}" for name in PACKAGE),
    *WEIGHTS,
    r"PKG-INFO|README\.md|LICENSE|pyproject\.toml|\.gitignore",
)
WHEEL = (
    *PACKAGE,
    *(f"pocketface/{name}" for name in WEIGHTS),
    r"pocketface-[\d.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/(LICENSE|weights/WEIGHTS\.md))",
)


def build(folder: Path, target: str) -> Path:
    """What `uv build` calls, in a process of its own as there; needs no network."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (built,) = (folder / "dist").glob("*.tar.gz" if target == "sdist" else "*.whl")
    return built


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The files that are packed, among all that a run and people leave."""
    folder = tmp_path_factory.mktemp("built") / "clone"
    for name in (*BUILT_FROM, *TEXTS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPOSITORY / name, folder / name)
    plant(*(folder / out for out in OUTS))
    (folder / ".dvc/config.local").write_text("['remote \"mine\"']\n    secret_access_key = private\n")
    return folder


@pytest.fixture(scope="module")
def sdist(clone) -> Path:
    """The sdist, unpacked."""
    with tarfile.open(build(clone, "sdist")) as archive:
        archive.extractall(clone.parent, filter="data")
        (folder,) = {member.name.partition("/")[0] for member in archive.getmembers()}
    return clone.parent / folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_sdist_holds_what_is_listed_and_nothing_else(clone, sdist):
    found = content(sdist)
    assert not strangers(found, SDIST)
    assert b"private" not in found.values()
    code = {path.relative_to(clone).as_posix() for path in (clone / "src").rglob("*.py")}
    models = {path.relative_to(clone).as_posix() for path in (clone / "weights").rglob("model.tflite")}
    assert code and models and code | models <= set(found)


def test_a_wheel_is_the_same_from_the_clone_and_from_the_sdist(clone, sdist):
    """`uv build` makes it from the sdist, `uv build --wheel` from the clone."""
    wheels = []
    for folder in (clone, sdist):
        with zipfile.ZipFile(build(folder, "wheel")) as wheel:
            wheels.append({name: wheel.read(name) for name in wheel.namelist()})
    assert wheels[0] == wheels[1]
    assert not strangers(wheels[0], WHEEL)
    assert b"private" not in wheels[0].values()
    code = {f"pocketface/{name}" for name in content(clone / "src/pocketface") if name.endswith(".py")}
    models = {f"pocketface/weights/{name}/int8/model.tflite" for name in DEFAULT_MODELS}
    networks = ("short_range", "short_range_int8", "full_range", "landmarks")
    finders = (*(f"{name}.tflite" for name in networks), "hog.svm")
    models |= {f"pocketface/cropping/{name}" for name in finders}
    assert code | models | {"pocketface/app/page/index.html"} <= set(wheels[0])
    assert sum(len(data) for name, data in wheels[0].items() if "/page/" in name) < 100_000
    assert wheels[0]["pocketface/weights/WEIGHTS.md"] == (REPOSITORY / "weights/WEIGHTS.md").read_bytes()
    (metadata,) = (said.decode() for name, said in wheels[0].items() if name.endswith("/METADATA"))
    assert "\nLicense-Expression: Apache-2.0 AND LicenseRef-research-only-WEIGHTS.md\n" in metadata
    assert re.search(r"\nSummary: .* research only, see WEIGHTS.md\.\n", metadata)
    assert "\nLicense-File: weights/WEIGHTS.md\n" in metadata
