from pathlib import Path

import pytest
import yaml

from pocketface.fetching.obtain import MIRROR
from pocketface.fetching.status import status

MANUAL = {"kind": "manual", "instructions": "ask"}
HTTPS = {"kind": "https", "url": "https://x.org/x.zip", "name": "x.zip"}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources of a repository, in which the test runs."""
    monkeypatch.delenv(MIRROR, raising=False)
    files = [{"mirror": "x/x.tar", "upstream": [HTTPS, MANUAL]}, {"mirror": "x/y.txt", "upstream": [MANUAL]}]
    about = {"title": "X", "licence": "research", "labels": ["age"], "pictures": 7}
    monkeypatch.chdir(tmp_path)
    path = Path("data/sources.yaml")
    touch(path, yaml.safe_dump({"datasets": {"x": {**about, "files": files}}}))
    return path


def row():
    [only] = status()
    return only


def touch(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_what_is_here_is_counted_and_its_origin_named(sources: Path):
    first = row()
    assert (first.dataset, first.pictures, first.labels, first.licence) == ("x", 7, ("age",), "research")
    assert (first.origin, first.here) == ("https, manual", "")
    touch(sources.parent / "archives/x/x.zip")
    assert (row().origin, row().here) == ("https, manual", "1 of 2")
    touch(sources.parent / "archives/x/y.txt")
    touch(sources.parent / "raw/x/files.zip", "12345")
    assert (row().origin, row().here) == ("archives", "0 MB")


def test_archives_of_other_names_are_named(sources: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MIRROR, str(sources.parent / "mirror"))
    touch(sources.parent / "mirror/x/archive.zip")
    assert (row().origin, row().here) == ("mirror", "")
    touch(sources.parent / "archives/x/archive.zip")
    assert (row().origin, row().here) == ("archives", "archive.zip instead of 2")


def test_a_mirror_is_named_when_it_has_everything(sources: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MIRROR, str(sources.parent / "mirror"))
    touch(sources.parent / "mirror/x/x.tar")
    assert row().origin == "https, manual"
    touch(sources.parent / "mirror/x/y.txt")
    assert row().origin == "mirror"
    monkeypatch.setenv(MIRROR, "https://mirror.org")
    assert row().origin == "mirror"


def test_what_is_rendered_needs_no_archive(sources: Path):
    content = yaml.safe_load(sources.read_text())
    del content["datasets"]["x"]["files"]
    content["datasets"]["x"]["rendered"] = {"generator": "weights/x", "photographs": 7, "seed": 1}
    sources.write_text(yaml.safe_dump(content))
    assert (row().origin, row().here) == ("rendered", "")
