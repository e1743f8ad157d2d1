import hashlib
import os
from pathlib import Path

import pytest
from loopback import Answer, Site

from pocketface.core.errors import PocketfaceError
from pocketface.fetching import clients
from pocketface.fetching.archives import Archive
from pocketface.fetching.download import check
from pocketface.fetching.obtain import MIRROR, held, obtain, obtain_dataset
from pocketface.fetching.sources import Source, load_sources

CONTENT = b"an archive"
MANUAL = {"kind": "manual", "instructions": "Write to its author."}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def source(*upstream: dict, **file) -> Source:
    file = {"mirror": "x/x.tar.xz", "sha256": sha(CONTENT), "upstream": upstream, **file}
    return Source.model_validate({"title": "X", "licence": "none", "files": [file]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archives folder; no mirror is set."""
    monkeypatch.delenv(MIRROR, raising=False)
    return tmp_path / "archives"


@pytest.fixture
def mirror(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mirror"
    (path / "x").mkdir(parents=True)
    monkeypatch.setenv(MIRROR, str(path))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_upstream_is_asked_last_the_mirror_before_and_the_archives_folder_first(
    site: Site, folder: Path, mirror: Path
):
    https = {"kind": "https", "url": site.url("up/x.zip"), "name": "x.zip", "sha256": sha(b"upstream's")}
    site.files["up/x.zip"] = b"upstream's"
    [archive] = obtain(source(https), folder)
    assert (archive.name, archive.parts[0].read_bytes()) == ("x.zip", b"upstream's")
    archive.parts[0].unlink()
    (mirror / "x/x.tar.xz").write_bytes(CONTENT)
    [archive] = obtain(source(https), folder)
    assert (archive.name, archive.parts) == ("x.tar.xz", (folder / "x/x.tar.xz",))
    assert archive.parts[0].read_bytes() == CONTENT
    (mirror / "x/x.tar.xz").write_bytes(b"not asked")
    assert obtain(source(https), folder) == [archive]
    assert len(site.asked) == 1


def test_a_mirror_may_be_an_http_address_and_lacks_what_upstream_has(site: Site, folder: Path, monkeypatch):
    monkeypatch.setenv(MIRROR, site.url("mirror/"))
    there = source({"kind": "https", "url": site.url("x.tar.xz")})
    site.files["x.tar.xz"] = CONTENT
    [archive] = obtain(there, folder)
    assert archive.parts[0].read_bytes() == CONTENT
    archive.parts[0].unlink()
    del site.files["x.tar.xz"]
    site.files["mirror/x/x.tar.xz"] = CONTENT
    site.answers["mirror/x/x.tar.xz"] = [Answer(cut_after=4), Answer(status=503)]
    [archive] = obtain(there, folder)
    assert archive.parts[0].read_bytes() == CONTENT


def test_a_wrong_file_in_the_archives_folder_is_moved_aside_and_fetched_anew(folder: Path, mirror: Path):
    (folder / "x").mkdir(parents=True)
    (folder / "x/x.tar.xz").write_bytes(b"damaged")
    (mirror / "x/x.tar.xz").write_bytes(CONTENT)
    with pytest.raises(PocketfaceError) as told:
        obtain(source(), folder)
    for part in (str(folder / "x/x.tar.xz"), sha(CONTENT), sha(b"damaged"), "Run again", "x.tar.xz.wrong"):
        assert part in str(told.value)
    assert names(folder) == ["x.tar.xz.wrong"]
    assert obtain(source(), folder)[0].parts[0].read_bytes() == CONTENT


@pytest.mark.parametrize("checks", [{}, {"sha256": None, "md5": "0" * 32}, {"sha256": None, "size": 3}])
def test_a_wrong_file_in_the_mirror_is_not_taken(folder: Path, mirror: Path, checks: dict):
    (mirror / "x/x.tar.xz").write_bytes(b"damaged")
    with pytest.raises(PocketfaceError, match=rf"{mirror}/x/x\.tar\.xz: not the file .* should be"):
        obtain(source(**checks), folder)
    assert names(folder) == []


def test_wrong_bytes_from_a_server_are_not_taken(site: Site, folder: Path):
    site.files["x.tar.xz"] = b"damaged"
    with pytest.raises(PocketfaceError, match=r"x\.tar\.xz: not the file .* SHA-256 should be"):
        obtain(source({"kind": "https", "url": site.url("x.tar.xz")}, MANUAL), folder)
    assert names(folder) == []


def test_an_unknown_checksum_is_printed(folder: Path, mirror: Path, capsys: pytest.CaptureFixture[str]):
    (mirror / "x/x.tar.xz").write_bytes(CONTENT)
    obtain(source(sha256=None), folder)
    assert f"x/x.tar.xz: sha256 {sha(CONTENT)}" in capsys.readouterr().err


def test_every_place_tried_is_in_the_message(site: Site, folder: Path, mirror: Path):
    with pytest.raises(PocketfaceError) as told:
        obtain(source({"kind": "https", "url": site.url("gone")}, MANUAL), folder)
    assert str(told.value).splitlines() == [
        f"{folder}/x/x.tar.xz: could not be had anywhere",
        f"  mirror: {mirror}/x/x.tar.xz: no such file",
        f"  https: {site.url('gone')}: HTTP 404 Not Found; it is not there any more: "
        "look for its new address on the dataset's page",
        f"  manual: put it at {folder}/x/x.tar.xz: Write to its author.",
    ]


def test_a_file_fetched_by_hand_is_used_under_upstreams_name(folder: Path):
    by_hand = {**MANUAL, "name": "x.zip"}
    with pytest.raises(PocketfaceError, match=rf"put it at {folder}/x/x\.zip: Write to its author"):
        obtain(source(by_hand), folder)
    (folder / "x").mkdir(parents=True, exist_ok=True)
    (folder / "x/x.zip").write_bytes(b"by hand")
    assert obtain(source(by_hand), folder)[0].name == "x.zip"


def test_a_mirror_that_is_no_folder_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(MIRROR, "/no/such/mirror")
    with pytest.raises(PocketfaceError, match="POCKETFACE_MIRROR=/no/such/mirror: no such folder"):
        obtain(source(), folder)


@pytest.mark.parametrize("name", ["x.tar.xz", "other.zip"])
def test_a_link_that_leads_out_of_the_mirror_is_not_followed(folder: Path, mirror: Path, name: str):
    outside = mirror.parent / "secret"
    outside.write_bytes(CONTENT)
    (mirror / "x" / name).symlink_to(outside)
    with pytest.raises(PocketfaceError, match=rf"{mirror}/x/{name}: a link that leads out of .* {outside}"):
        obtain_dataset("x", source(sha256=None), folder)
    assert names(folder) == []


def test_links_within_a_mirror_and_to_our_own_archives_are_followed(folder: Path, mirror: Path):
    linked = mirror.with_name("linked")
    mirror.rename(linked)
    mirror.symlink_to(linked)
    (mirror / "x/real").write_bytes(CONTENT)
    (mirror / "x/x.tar.xz").symlink_to("real")
    [archive] = obtain(source(), folder)
    archive.parts[0].unlink()
    archive.parts[0].symlink_to(mirror / "x/real")
    assert obtain(source(), folder)[0].parts[0].read_bytes() == CONTENT


@pytest.mark.parametrize("user", ["me:pl4nted", "pl4nted", "pl4nted:pl4nted", "me: pl4nted ", "me:a/pl4nted"])
@pytest.mark.parametrize("status", [200, 401, 404, 503, None])
def test_a_mirrors_password_is_shown_nowhere(site: Site, folder: Path, monkeypatch, capsys, user, status):
    """Whatever the server answers, a wrong file with 200; None is that nobody listens."""
    address = site.address if status else "http://127.0.0.1:9"
    monkeypatch.setenv(MIRROR, address.replace("://", f"://{user}@"))
    site.files["x/x.tar.xz"] = b"another one"
    site.always["x/x.tar.xz"] = Answer(status=status or 200)
    with pytest.raises(PocketfaceError) as told:
        obtain(source(), folder)
    assert "://***@127.0.0.1:" in str(told.value)
    printed = capsys.readouterr()
    written = [path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()]
    assert "pl4nted" not in "".join([str(told.value), printed.out, printed.err, *written])


def test_pieces_come_side_by_side_and_become_one_archive(site: Site, folder: Path):
    pieces = {f"a{letter}": letter.encode() * 9000 for letter in "abcdefg"}
    site.files.update({f"x.tar.xz{suffix}": piece for suffix, piece in pieces.items()})
    site.answers["x.tar.xzac"] = [Answer(cut_after=5000)]
    sums = {suffix: sha(piece) for suffix, piece in pieces.items()}
    whole = source({"kind": "https", "url": site.url("x.tar.xz")}, sha256=None, pieces=sums)
    [archive] = obtain(whole, folder)
    assert archive.name == "x.tar.xz"
    assert b"".join(path.read_bytes() for path in archive.parts) == b"".join(pieces.values())


def test_one_missing_piece_stops_the_rest(site: Site, folder: Path):
    site.files["x.tar.xzaa"] = b"a"
    https = {"kind": "https", "url": site.url("x.tar.xz")}
    with pytest.raises(PocketfaceError, match=r"x\.tar\.xzab: could not be had anywhere"):
        obtain(source(https, sha256=None, pieces={"aa": None, "ab": None}), folder)


@pytest.mark.parametrize(
    ("upstream", "client"),
    [
        ({"kind": "google-drive", "id": "0A-b_c"}, "from_google_drive"),
        ({"kind": "kaggle", "dataset": "some/faces", "name": "x.zip"}, "from_kaggle"),
        ({"kind": "pypi", "package": "faces==1.0", "member": "faces/x"}, "from_pypi"),
    ],
)
def test_each_upstream_has_its_client_and_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, upstream: dict, client: str
):
    def bring(place, target: Path) -> None:
        assert place.kind == upstream["kind"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    monkeypatch.setattr(clients, client, bring)
    content = CONTENT
    [archive] = obtain(source(upstream), folder)
    assert archive.parts[0].read_bytes() == CONTENT
    archive.parts[0].unlink()
    content = b"damaged"
    if "name" not in upstream:
        with pytest.raises(PocketfaceError, match=r"SHA-256 should be .*moved to .*\.wrong"):
            obtain(source(upstream, MANUAL), folder)


def put(folder: Path, *files: str) -> None:
    (folder / "x").mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / "x" / file).write_bytes(CONTENT)


def used(archives: list[Archive]) -> list[tuple[str, list[str]]]:
    return [(archive.name, [path.name for path in archive.parts]) for archive in archives]


@pytest.mark.parametrize("place", ["archives", "mirror"])
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["archive.zip"], ["archive.zip"]),
        (["part2.tar.gz", "part1.tar.gz", "part3.tar.gz"], ["part1.tar.gz", "part2.tar.gz", "part3.tar.gz"]),
        (
            ["archive.zip", ".lock.zip", "b.zip.part", "x.tar.xz.wrong", "c.zip.drive", "notes.md"],
            ["archive.zip"],
        ),
        (["pictures.zip", "list.csv", "list.txt"], ["list.csv", "list.txt", "pictures.zip"]),
        (["faces.csv"], ["faces.csv"]),
        (["x.tar.xz", "archive.zip"], ["x.tar.xz"]),
    ],
)
def test_archives_of_other_names_are_taken_where_the_wanted_are_not_all_there(
    folder: Path, mirror: Path, place: str, files: list[str], expected: list[str], capsys
):
    put(mirror.parent / place, *files)
    assert [name for name, _ in used(obtain_dataset("x", source(), folder))] == expected
    if "x.tar.xz" not in files:
        assert f"{expected[0]}: sha256 {sha(CONTENT)} (none is known" in capsys.readouterr().err


@pytest.mark.parametrize("suffixes", [("aa", "ab", "ac"), (".aa", ".ab"), (".001", ".002")])
def test_pieces_of_other_names_become_one_archive(folder: Path, suffixes: tuple[str, ...]):
    pieces = [f"faces.tar.gz{suffix}" for suffix in suffixes]
    put(folder, *reversed(pieces))
    assert used(obtain_dataset("x", source(), folder)) == [("faces.tar.gz", pieces)]
    put(folder, "faces.tar.gz")
    assert used(obtain_dataset("x", source(), folder)) == [("faces.tar.gz", ["faces.tar.gz"])]


def test_a_note_is_no_archive_and_no_other_dataset_is_looked_at(folder: Path, mirror: Path):
    put(folder, "readme.txt")
    put(mirror, "x.tar.xz")
    (folder / "y").mkdir()
    (folder / "y/archive.zip").write_bytes(CONTENT)
    assert used(obtain_dataset("x", source(), folder)) == [("x.tar.xz", ["x.tar.xz"])]


def test_the_archives_folder_comes_before_the_mirror(folder: Path, mirror: Path):
    put(mirror, "archive.zip")
    put(folder, "x.tar.xz")
    assert held("x", source(), mirror)
    assert used(obtain_dataset("x", source(), folder)) == [("x.tar.xz", ["x.tar.xz"])]


def test_a_wanted_file_beside_others_is_still_checked(folder: Path):
    two = source().model_dump()
    two["files"] = [*two["files"], {"mirror": "x/list.txt", "sha256": sha(b"list")}]
    put(folder, "x.tar.xz", "list.csv")
    assert [name for name, _ in used(obtain_dataset("x", Source.model_validate(two), folder))] == [
        "list.csv",
        "x.tar.xz",
    ]
    (folder / "x/x.tar.xz").write_bytes(b"damaged")
    with pytest.raises(PocketfaceError, match=r"x\.tar\.xz: not the file .* SHA-256 should be"):
        obtain_dataset("x", Source.model_validate(two), folder)


def test_the_mirror_holds_what_the_sources_say():
    mirror = os.environ.get(MIRROR, "")
    if not Path(mirror).is_dir() or not mirror:
        pytest.skip(f"{MIRROR} names no folder")
    sources = load_sources(Path(__file__).parents[2] / "data/sources.yaml")
    files = [
        file for source in [*sources.datasets.values(), *sources.weights.values()] for file in source.files
    ]
    there = [file.copy_from() for file in files if (Path(mirror) / file.mirror).is_file()]
    assert there, "nothing of the sources is in the mirror"
    for copy in there:
        assert copy.sha256 is not None, f"{copy.path}: the mirror has it, so its sha256 can be known"
        check(Path(mirror) / copy.path, copy, copy.path)
