from pathlib import Path

import pytest
import yaml

from pocketface.fetching.obtain import MIRROR
from pocketface.fetching.status import status

MANUAL = {"kind": "manual", "instructions": "ask"}
HTTPS = {"kind": "https", "url": "https://x.org/x.zip", "name": "x.zip"}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(MIRROR, raising=False)
    files = [{"mirror": "x/x.tar", "upstream": [HTTPS, MANUAL]}, {"mirror": "x/y.txt", "upstream": [MANUAL]}]
    about = {"title": "X", "licence": "research", "labels": ["age"], "pictures": 7}
    path = tmp_path / "sources.yaml"
    path.write_text(yaml.safe_dump({"datasets": {"x": {**about, "files": files}}}))
    return path


def row(sources: Path):
    [only] = status(sources, sources.parent / "archives", sources.parent / "raw")
    return only


def touch(path: Path, content: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_what_is_here_is_counted_and_its_origin_named(sources: Path):
    first = row(sources)
    assert (first.dataset, first.pictures, first.labels, first.licence) == ("x", 7, ("age",), "research")
    assert (first.origin, first.here) == ("https, manual", "")
    touch(sources.parent / "archives/x/x.zip")
    assert (row(sources).origin, row(sources).here) == ("https, manual", "1 of 2")
    touch(sources.parent / "archives/x/y.txt")
    touch(sources.parent / "raw/x/files.zip", b"12345")
    assert (row(sources).origin, row(sources).here) == ("archives", "0 MB")


def test_archives_of_other_names_are_named(sources: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MIRROR, str(sources.parent / "mirror"))
    touch(sources.parent / "mirror/x/archive.zip")
    assert (row(sources).origin, row(sources).here) == ("mirror", "")
    touch(sources.parent / "archives/x/archive.zip")
    assert (row(sources).origin, row(sources).here) == ("archives", "archive.zip instead of 2")


def test_a_mirror_is_named_when_it_has_everything(sources: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MIRROR, str(sources.parent / "mirror"))
    touch(sources.parent / "mirror/x/x.tar")
    assert row(sources).origin == "https, manual"
    touch(sources.parent / "mirror/x/y.txt")
    assert row(sources).origin == "mirror"
    monkeypatch.setenv(MIRROR, "https://mirror.org")
    assert row(sources).origin == "mirror"


def test_what_is_rendered_needs_no_archive(sources: Path):
    content = yaml.safe_load(sources.read_text())
    del content["datasets"]["x"]["files"]
    content["datasets"]["x"]["rendered"] = {"generator": "weights/x", "photographs": 7, "seed": 1}
    sources.write_text(yaml.safe_dump(content))
    assert (row(sources).origin, row(sources).here) == ("rendered", "")
