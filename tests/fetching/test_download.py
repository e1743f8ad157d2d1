import email.utils
import hashlib
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from loopback import Answer, Site

from full_disk import largest_file
from pocketface.core.errors import PocketfaceError
from pocketface.fetching.download import NotThere, WrongFile, download
from pocketface.fetching.sources import Copy

CONTENT = hashlib.shake_256(b"faces").digest(50_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(site: Site, tmp_path: Path) -> Path:
    site.files["a.tar"] = CONTENT
    return tmp_path / "a.tar"


def fetch(site: Site, target: Path, **known) -> bytes:
    download(site.url("a.tar"), target, Copy("a.tar", **known))
    assert [path.name for path in target.parent.iterdir()] == ["a.tar"]  # nothing is left beside it
    return target.read_bytes()


def test_a_file_arrives_in_folders_made_for_it(site: Site, target: Path):
    assert fetch(site, target.parent / "new" / "a.tar") == CONTENT


@pytest.mark.parametrize("fault", [{"cut_after": 20_000}, {"stall_after": 20_000}])
def test_a_cut_or_stalled_connection_is_resumed_where_it_ended(site: Site, target: Path, fault):
    site.answers["a.tar"] = [Answer(**fault)]
    assert fetch(site, target) == CONTENT
    assert site.ranges("a.tar") == [None, "bytes=20000-"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"ignore_range": True}),
        ({}, {"shift_range": True}),  # it sends another range
        ({"body": bytes(50_000)}, {}),  # another version
    ],
)
def test_what_does_not_go_on_where_it_ended_is_not_mixed_with_it(site: Site, target: Path, first, then):
    site.answers["a.tar"] = [Answer(cut_after=20_000, **first), Answer(**then)]
    assert fetch(site, target) == CONTENT
    asked_anew = [None] if "shift_range" in then else []
    assert site.ranges("a.tar") == [None, "bytes=20000-", *asked_anew]


@pytest.mark.parametrize(("sha256", "ranges"), [(SHA, [None, "bytes=20000-"]), (None, [None, None])])
def test_without_a_version_it_resumes_only_what_a_checksum_covers(site: Site, target: Path, sha256, ranges):
    site.versioned = False
    site.answers["a.tar"] = [Answer(cut_after=20_000)]
    assert fetch(site, target, sha256=sha256) == CONTENT
    assert site.ranges("a.tar") == ranges


def test_more_cuts_than_attempts_are_survived_as_long_as_bytes_arrive(site: Site, target: Path):
    site.answers["a.tar"] = [Answer(cut_after=5_000)] * 8
    assert fetch(site, target) == CONTENT


def test_cuts_that_never_get_further_end(site: Site, target: Path):
    site.always["a.tar"] = Answer(cut_after=5_000, ignore_range=True)
    with pytest.raises(PocketfaceError, match="the connection was cut; gave up after 3 attempts"):
        fetch(site, target)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(site: Site, target: Path, status: int):
    site.answers["a.tar"] = [Answer(status=status)] * 2
    assert fetch(site, target) == CONTENT


def test_a_server_that_stays_busy_is_left_alone_and_the_rest_kept(site: Site, target: Path):
    site.answers["a.tar"] = [Answer(cut_after=20_000)]
    site.always["a.tar"] = Answer(status=503)
    with pytest.raises(PocketfaceError, match=r"HTTP 503 .* after 3 .*the 20000 bytes in .*\.part"):
        fetch(site, target)
    assert not target.exists()
    del site.always["a.tar"]
    assert fetch(site, target) == CONTENT
    assert site.ranges("a.tar")[-1] == "bytes=20000-"


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(site: Site, target: Path, as_date: bool, monkeypatch: pytest.MonkeyPatch):
    naps: list[float] = []
    monkeypatch.setattr("time.sleep", naps.append)
    value = email.utils.formatdate(time.time() + 4, usegmt=True) if as_date else "3"
    site.answers["a.tar"] = [Answer(status=429, headers={"Retry-After": value})]
    assert fetch(site, target) == CONTENT
    assert len(naps) == 1
    assert 0 < naps[0] <= 4


def test_a_server_that_asks_for_an_hour_is_not_waited_for(site: Site, target: Path):
    site.answers["a.tar"] = [Answer(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(PocketfaceError, match="asks to wait 3600 s"):
        fetch(site, target)
    assert len(site.asked) == 1


@pytest.mark.parametrize(("status", "remedy"), [(403, "terms"), (404, "new address"), (418, "address")])
def test_a_refusal_is_final_and_says_what_to_do(site: Site, target: Path, status: int, remedy: str):
    site.always["a.tar"] = Answer(status=status)
    with pytest.raises(NotThere, match=rf"a\.tar: HTTP {status}.*{remedy}"):
        fetch(site, target)
    assert len(site.asked) == 1


def test_a_closed_port_is_an_error(site: Site, tmp_path: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.tar"
        with pytest.raises(PocketfaceError, match=r"no connection .* run again later$"):
            download(url, tmp_path / "a.tar", Copy("a.tar"))


@pytest.mark.parametrize(
    ("known", "endless", "told"),
    [
        ({"size": 40_000}, False, "40000 bytes that data/sources.yaml gives"),
        ({"sha256": SHA}, False, "30000 bytes that a file of unknown size"),
        ({"sha256": SHA}, True, "30000 bytes that a file of unknown size"),
    ],
)
def test_more_bytes_than_there_may_be_end_it(site: Site, target: Path, known, endless, told, monkeypatch):
    monkeypatch.setattr("pocketface.fetching.download.LARGEST", 30_000)
    site.always["a.tar"] = Answer(endless=endless)
    with pytest.raises(PocketfaceError, match=f"more than the {told}"):
        fetch(site, target, **known)
    assert len(site.asked) == 1
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("length", ["²", "-1", "9" * 5000, ""])
def test_a_length_that_is_no_number_is_as_none(site: Site, target: Path, length: str):
    site.answers["a.tar"] = [Answer(status=429, headers={"Retry-After": length}), Answer(length=length)]
    with suppress(PocketfaceError):  # what HTTP itself makes of such an answer
        assert fetch(site, target, size=len(CONTENT)) == CONTENT


def test_a_wrong_file_is_removed_and_an_earlier_one_kept(site: Site, target: Path):
    target.write_bytes(b"earlier")
    with pytest.raises(WrongFile, match=rf"{site.address}/a\.tar: .* SHA-256 should be 000"):
        fetch(site, target, sha256="0" * 64)
    assert target.read_bytes() == b"earlier"
    assert [path.name for path in target.parent.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_download_killed_after_its_last_byte_is_not_repeated(site: Site, target: Path, size):
    target.with_name("a.tar.part").write_bytes(CONTENT)
    assert fetch(site, target, size=size, sha256=SHA) == CONTENT
    assert site.sent == 0


def test_a_partial_file_longer_than_the_servers_is_dropped(site: Site, target: Path):
    target.with_name("a.tar.part").write_bytes(CONTENT + b"more")
    assert fetch(site, target, sha256=SHA) == CONTENT


def test_a_full_disk_is_told_and_the_download_goes_on_when_there_is_room(site: Site, target: Path):
    with largest_file(30_000), pytest.raises(PocketfaceError, match="no room to write it"):
        fetch(site, target)
    assert not target.exists()
    assert fetch(site, target) == CONTENT
    assert site.ranges("a.tar") == [None, "bytes=30000-"]
