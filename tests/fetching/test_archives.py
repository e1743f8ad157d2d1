import bz2
import gc
import gzip
import io
import lzma
import os
import subprocess
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from full_disk import largest_file
from pocketface.core.errors import PocketfaceError
from pocketface.fetching.archives import Archive, pack, pack_folder, same
from pocketface.fetching.sources import Limits

MEMBERS = {
    "faces/b.jpg": b"second in the alphabet, first in the archive",
    "faces/a.jpg": bytes(3000),
    "list.csv": b"x\n",
}
LIMITS = Limits(member=10_000, total=20_000, members=5)


def tar(
    members: dict[str, bytes] = MEMBERS,
    change: Callable[[tarfile.TarInfo], None] = lambda info: None,
    format: int = tarfile.PAX_FORMAT,
) -> bytes:
    """A plain tar; `change` is applied to every header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def typed(kind: bytes, link: str = "") -> bytes:
    """A tar with a good member and one of another type."""

    def change(info: tarfile.TarInfo) -> None:
        if info.name == "odd":
            info.type, info.linkname, info.size = kind, link, 0

    return tar({"good": b"1", "odd": b""}, change)


def zipped(
    members: dict[str, bytes] = MEMBERS,
    change: Callable[[zipfile.ZipInfo], None] = lambda info: None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            change(info)
            archive.writestr(info, content, compression)
    return buffer.getvalue()


def twice(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(name, b"1")
        archive.writestr(name, b"2")
    return buffer.getvalue()


def linked(info: zipfile.ZipInfo) -> None:
    info.create_system, info.external_attr = 3, 0o120777 << 16


def encrypted() -> bytes:
    """A zip whose headers say that its member is encrypted."""
    content = bytearray(zipped({"a": b"secret"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) >= 1
    assert len(old) == len(new)
    return content.replace(old, new)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def in_tar(name: str) -> bytes:
    return tar({"good": b"1", name: b"2"})


def in_zip(name: str) -> bytes:
    return zipped({"good": b"1", name: b"2"})


def folder_in_tar(name: str) -> bytes:
    def change(info: tarfile.TarInfo) -> None:
        if info.name == name:
            info.type = tarfile.DIRTYPE

    return tar({"good": b"1", name: b""}, change)


def long_header(size: int) -> bytes:
    """A tar that begins with a long name of `size` bytes."""
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(size) + tar()


TWO = tar({"a": bytes(600), "b": bytes(600)})
SECOND_HEADER = 512 + 1024

BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    # how it is called, what it holds, what the message says
    "absolute path in a tar": ("x.tar", lambda: in_tar("/etc/passwd"), "'/etc/passwd'.*absolute"),
    "absolute path in a zip": ("x.zip", lambda: in_zip("/etc/passwd"), "'/etc/passwd'.*absolute"),
    "climbing in a tar": ("x.tar", lambda: in_tar("a/../../b"), "'a/../../b'.*out of the folder"),
    "climbing in a zip": ("x.zip", lambda: in_zip("../b"), "'../b'.*out of the folder"),
    "climbing folder": ("x.tar", lambda: folder_in_tar("../b"), "'../b'.*out of the folder"),
    "climbing folder in a zip": ("x.zip", lambda: in_zip("../b/"), "'../b'.*out of the folder"),
    "drive letter": ("x.zip", lambda: in_zip("C:evil.jpg"), "'C:evil.jpg'.*absolute"),
    "backslash in a tar": ("x.tar", lambda: in_tar("..\\b"), "backslash"),
    "backslash in a zip": ("x.zip", lambda: in_zip("..\\b"), "backslash"),
    "line break in a name": ("x.tar", lambda: in_tar("a\nb"), "control character"),
    "NUL in a zip name": ("x.zip", lambda: patched(in_zip("a?b"), b"a?b", b"a\0b"), "control character"),
    "climbing in another encoding": (
        "x.tar",
        lambda: tar({os.fsdecode(b"../\xff.jpg"): b"1"}, format=tarfile.GNU_FORMAT),
        "out of the folder",
    ),
    "name of nothing": ("x.zip", lambda: in_zip("./."), "without a name"),
    "no name at all": ("x.zip", lambda: zipped({"": b"1"}), "without a name"),
    "symbolic link in a tar": ("x.tar", lambda: typed(tarfile.SYMTYPE, "/etc/passwd"), "'odd'.*symbolic"),
    "symbolic link in a zip": ("x.zip", lambda: zipped({"odd": b"/etc/x"}, linked), "'odd'.*symbolic"),
    "hard link": ("x.tar", lambda: typed(tarfile.LNKTYPE, "good"), "'odd'.*hard link"),
    "device": ("x.tar", lambda: typed(tarfile.CHRTYPE), "'odd'.*device"),
    "pipe": ("x.tar", lambda: typed(tarfile.FIFOTYPE), "'odd'.*pipe"),
    "sparse file": ("x.tar", lambda: typed(tarfile.GNUTYPE_SPARSE), "'odd'.*sparse"),
    "same name twice in a tar": ("x.tar", lambda: tar({"a": b"1", "./a": b"2"}), "'./a'.*twice"),
    "same name twice in a zip": ("x.zip", lambda: twice("a"), "'a'.*twice"),
    "file in a file": ("x.tar", lambda: tar({"a": b"1", "a/b": b"2"}), "'a/b'.*a file and of a folder"),
    "file in the place of a folder": (
        "x.zip",
        lambda: zipped({"A/b/c": b"1", "a/B": b"2"}),
        "'a/B'.*a file and of a folder",
    ),
    "names turned round": ("x.zip", lambda: in_zip("a\u202egpj.exe"), r"'a\\u202egpj.exe'.*reorders"),
    "names turned round in a tar": ("x.tar", lambda: in_tar("a\u2067gpj.exe"), r"\\u2067.*reorders"),
    "line separator in a name": ("x.tar", lambda: in_tar("a\u2028b"), "control character"),
    "cut tar.xz": ("x.tar.xz", lambda: lzma.compress(tar())[:-20], "damaged or cut"),
    "cut tar.gz": ("x.tar.gz", lambda: gzip.compress(tar())[:-9], "damaged or cut"),
    "cut tar.bz2": ("x.tar.bz2", lambda: bz2.compress(tar())[:-9], "damaged or cut"),
    "tar cut within a member": ("x.tar", lambda: TWO[:700], "damaged or cut"),
    "tar cut between members": ("x.tar", lambda: TWO[:SECOND_HEADER], "damaged or cut"),
    "tar cut within a header": ("x.tar", lambda: TWO[: SECOND_HEADER + 100], "damaged or cut"),
    "tar with a damaged header": ("x.tar", lambda: flipped(TWO, SECOND_HEADER + 5), "damaged or cut"),
    "tar with more after its end": ("x.tar", lambda: tar() + tar({"c": b"3"}), "damaged or cut"),
    "flipped bit in tar.xz": ("x.tar.xz", lambda: flipped(lzma.compress(tar()), 60), "damaged or cut"),
    "wrong checksum in tar.gz": ("x.tar.gz", lambda: flipped(gzip.compress(tar()), -7), "damaged or cut"),
    "wrong checksum in a zip": (
        "x.zip",
        lambda: patched(zipped({"a": b"12345"}, compression=0), b"12345", b"12346"),
        "damaged or cut",
    ),
    "zip without its directory": ("x.zip", lambda: zipped()[:-40], "damaged or cut"),
    "cut single file": ("x.csv.xz", lambda: lzma.compress(bytes(9000))[:-9], "damaged or cut"),
    "encrypted zip": ("x.zip", encrypted, "'a'.*encrypted"),
    "zip of an unknown method": (
        "x.zip",
        lambda: patched(zipped({"a": b"1"}, compression=8), b"\x08\0\0\0\x21\0", b"\x63\0\0\0\x21\0"),
        "'a'.*method 99",
    ),
    "empty tar": ("x.tar.xz", lambda: lzma.compress(tar({})), "empty"),
    "empty zip": ("x.zip", lambda: zipped({}), "empty"),
    "empty file": ("x.tar.xz", lambda: b"", "empty"),
    "web page for a tar.xz": ("x.tar.xz", lambda: b"<!DOCTYPE html>" * 50, "not a tar.xz.*DOCTYPE"),
    "web page for a zip": ("x.zip", lambda: b"<!DOCTYPE html>" * 50, "not a zip.*DOCTYPE"),
    "web page for a tar": ("x.tar", lambda: b"<!DOCTYPE html>" * 50, "not a tar.*DOCTYPE"),
    "compressed file for a tar.gz": ("x.tar.gz", lambda: gzip.compress(b"text"), "damaged or cut"),
    "bomb of one file": ("x.csv.xz", lambda: lzma.compress(bytes(10_001)), "more than the 10000 bytes"),
    "bomb of one member": ("x.tar.xz", lambda: lzma.compress(tar({"a": bytes(10_001)})), "'a'.*10000 bytes"),
    "bomb of one zip member": ("x.zip", lambda: zipped({"a": bytes(10_001)}), "'a'.*10000 bytes"),
    "bomb in a header": ("x.tar.xz", lambda: lzma.compress(long_header(2**21)), "header of 2097152 bytes"),
    "bomb of the whole": ("x.tar", lambda: tar({n: bytes(8000) for n in "abc"}), "'c'.*4000 bytes"),
    "bomb of many members": ("x.tar", lambda: tar(dict.fromkeys("abcdef", b"")), "more than 5 members"),
    "bomb of many folders": (
        "x.tar",
        lambda: tar({f"{n}/": b"" for n in "abcdef"}, lambda info: setattr(info, "type", tarfile.DIRTYPE)),
        "more than 5 members",
    ),
    "bomb of many members in a zip's directory": (
        "x.zip",
        lambda: zipped(dict.fromkeys("abcdef", b"")),
        "more than 5 members",
    ),
    "zip's directory of more bytes than its members may have": (
        "x.zip",
        lambda: zipped(dict.fromkeys("abcde", b""), lambda info: setattr(info, "comment", bytes(60_000))),
        "a directory as large",
    ),
    "headers that follow each other without end": (
        "x.tar",
        lambda: tarfile.TarInfo("x" * 200).tobuf(tarfile.GNU_FORMAT)[:1024] * 2_000 + tar(),
        "damaged or cut",
    ),
    "long name": ("x.tar", lambda: in_tar("n" * 513), "more than 512 bytes"),
    "link in an inner archive": (
        "x.zip",
        lambda: zipped({"in.tar.xz": lzma.compress(typed(tarfile.SYMTYPE, "/etc/passwd"))}),
        "in.tar.xz: member 'odd'.*symbolic",
    ),
    "climbing in an inner archive": (
        "x.tar",
        lambda: tar({"in.zip": in_zip("../../b")}),
        "in.zip: .*out of the",
    ),
    "climbing name of an inner archive": ("x.tar", lambda: tar({"../in.zip": zipped()}), "out of the folder"),
    "damaged inner archive": ("x.zip", lambda: zipped({"in.tar": TWO[:700]}), "in.tar: .*damaged or cut"),
    "web page for an inner archive": ("x.zip", lambda: zipped({"in.zip": b"<html>"}), "in.zip: not a zip"),
    "zip in inner pieces": (
        "x.tar",
        lambda: tar({"in.zip.001": zipped(), "in.zip.002": b"2"}),
        "in.zip.*join them",
    ),
    "archives three deep": (
        "x.zip",
        lambda: zipped({"in.zip": zipped({"deep.tar": tar()})}),
        "in.zip: member 'deep.tar'.*an archive in an archive in an archive",
    ),
    "same inner archive twice": ("x.tar", lambda: tar({"in.zip": zipped(), "./in.zip": zipped()}), "twice"),
    "inner archive in the way of a member": (
        "x.tar",
        lambda: tar({"in.zip": zipped({"a": b"1"}), "in.zip/a": b"2"}),
        "'in.zip/a'.*of a file and of a folder",
    ),
    "bomb in an inner archive": (
        "x.zip",
        lambda: zipped({"in.tar.xz": lzma.compress(tar({"a": bytes(10_001)}))}),
        "in.tar.xz: member 'a'.*10000 bytes",
    ),
    "bomb that is an inner archive": (
        "x.zip",
        lambda: zipped({"in.tar": bytes(10_001)}),
        "'in.tar'.*10000 bytes",
    ),
    "bomb of inner archives": (
        "x.zip",
        lambda: zipped({"a": bytes(9_000), **{f"{n}.gz": gzip.compress(bytes(9_000)) for n in "bc"}}),
        "c.gz: member 'c'.*bytes left",
    ),
    "bomb of many inner members": (
        "x.zip",
        lambda: zipped({"in.zip": zipped(dict.fromkeys("abcde", b""))}),
        "in.zip: .*more than 5 members",
    ),
    "zip that lies about a size": (
        "x.zip",
        lambda: patched(zipped({"a": bytes(3000)}), (3000).to_bytes(4, "little"), (30).to_bytes(4, "little")),
        "damaged or cut",
    ),
}


def written(folder: Path, name: str, content: bytes) -> Archive:
    (folder / name).write_bytes(content)
    return Archive(name, (folder / name,))


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def repacked(folder: Path, *archives: Archive) -> dict[str, bytes]:
    """What `files.zip` holds that is packed of these archives."""
    count = pack(archives, folder / "files.zip", LIMITS)
    members = unpacked(folder / "files.zip")
    assert len(members) == count
    return members


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_refused_whole_and_an_earlier_out_is_kept(tmp_path: Path, case: str):
    name, make, message = BAD[case]
    target = tmp_path / "raw" / "files.zip"
    target.parent.mkdir()
    target.write_bytes(b"earlier")
    with pytest.raises(PocketfaceError, match=rf"(?s)/x\..*{message}"):
        pack([written(tmp_path, name, make())], target, LIMITS)
    assert target.read_bytes() == b"earlier"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tar", tar()),
        ("x.tar.gz", gzip.compress(tar())),
        ("X.TGZ", gzip.compress(tar())),
        ("x.tar.xz", lzma.compress(tar(format=tarfile.GNU_FORMAT))),
        ("x.tar.bz2", bz2.compress(tar(format=tarfile.USTAR_FORMAT))),
        ("x.zip", zipped()),
        ("stored.zip", zipped(compression=zipfile.ZIP_STORED)),
        ("lzma.zip", zipped(compression=zipfile.ZIP_LZMA)),
        # and under the name of another kind
        ("x.tar.gz", zipped()),
        ("x.tar.xz", gzip.compress(tar())),
        ("x.zip", lzma.compress(tar())),
        ("x.zip", tar()),
    ],
)
def test_every_kind_of_archive_gives_the_same_bytes(tmp_path: Path, name: str, content: bytes):
    expected = tmp_path / "expected.zip"
    pack([written(tmp_path, "first.tar", tar())], expected)
    assert pack([written(tmp_path, name, content)], tmp_path / "files.zip") == 3
    assert (tmp_path / "files.zip").read_bytes() == expected.read_bytes()


def test_the_zip_is_stored_in_archive_order_with_fixed_dates(tmp_path: Path):
    assert repacked(tmp_path, written(tmp_path, "x.tar.xz", lzma.compress(tar()))) == MEMBERS
    with zipfile.ZipFile(tmp_path / "files.zip") as packed:
        infos = packed.infolist()
    assert [info.filename for info in infos] == list(MEMBERS)
    assert {(info.compress_type, info.date_time) for info in infos} == {(0, (1980, 1, 1, 0, 0, 0))}


def test_several_archives_go_into_one_zip(tmp_path: Path):
    archives = [
        written(tmp_path, "pictures.tar.xz", lzma.compress(tar({"p/1.jpg": b"1"}))),
        written(tmp_path, "attributes.zip", zipped({"attributes.txt": b"2"})),
        written(tmp_path, "Partition.txt.XZ", lzma.compress(b"3")),
        written(tmp_path, "plain.txt", b"4"),
    ]
    assert repacked(tmp_path, *archives) == {
        "p/1.jpg": b"1",
        "attributes.txt": b"2",
        "Partition.txt": b"3",
        "plain.txt": b"4",
    }


def test_a_name_in_two_archives_is_refused(tmp_path: Path):
    archives = [written(tmp_path, "1.tar", tar()), written(tmp_path, "2.zip", zipped())]
    with pytest.raises(PocketfaceError, match=r"2\.zip.*'faces/b.jpg'.*twice"):
        pack(archives, tmp_path / "files.zip")


THREE = lzma.compress(tar({"c": b"3"}))
INNER: dict[str, tuple[dict[str, bytes], dict[str, bytes]]] = {
    # members of the outer archive, what comes of them
    "tar.gz": ({"a/in.tar.gz": gzip.compress(tar({"b/c": b"3"}))}, {"a/in.tar.gz/b/c": b"3"}),
    "zip": ({"in.zip": zipped({"c": b"3"})}, {"in.zip/c": b"3"}),
    "one file": ({"a/list.csv.xz": lzma.compress(b"3")}, {"a/list.csv.xz/list.csv": b"3"}),
    "beside others": ({"in.zip": zipped({"c": b"3"}), "d": b"4"}, {"d": b"4", "in.zip/c": b"3"}),
    "pieces": (
        {"in.tar.xzab": THREE[99:], "in.tar.xzaa": THREE[:99]},
        {"in.tar.xz/c": b"3"},
    ),
    "a Mac's": ({"__MACOSX/._in.zip": b"-"}, {"__MACOSX/._in.zip": b"-"}),
}


@pytest.mark.parametrize("case", INNER)
@pytest.mark.parametrize(("name", "make"), [("x.zip", zipped), ("x.tar", tar)])
def test_an_archive_in_an_archive_is_opened(tmp_path: Path, name: str, make, case: str):
    members, expected = INNER[case]
    assert repacked(tmp_path, written(tmp_path, name, make(members))) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files.zip", name]


def flagless(name: bytes) -> bytes:
    """A zip of one member whose name is not marked as UTF-8."""
    return zipped({"?" * len(name): b"1"}).replace(b"?" * len(name), name)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Zoë.jpg".encode(), "Zoë.jpg"),
        ("Zoë.jpg".encode("latin-1"), "Zoδ.jpg"),
        ("表.jpg".encode("shift-jis"), "ò_.jpg"),  # whose second byte is a backslash
        ("张/1.jpg".encode("gbk"), "╒┼/1.jpg"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar", "pax"])
def test_names_in_another_encoding_are_read(tmp_path: Path, kind: str, raw: bytes, name: str):
    format = tarfile.PAX_FORMAT if kind == "pax" else tarfile.GNU_FORMAT
    content = flagless(raw) if kind == "zip" else tar({os.fsdecode(raw): b"1"}, format=format)
    archive = written(tmp_path, "x.zip" if kind == "zip" else "x.tar", content)
    assert repacked(tmp_path, archive) == {name: b"1"}


def pieces(folder: Path, content: bytes, count: int) -> tuple[Path, ...]:
    step = -(-len(content) // count)
    paths = tuple(folder / f"x.tar.xz{i}" for i in range(count))
    for i, path in enumerate(paths):
        path.write_bytes(content[i * step : (i + 1) * step])
    return paths


def test_pieces_are_joined_wherever_they_were_cut(tmp_path: Path):
    content = lzma.compress(tar())
    for count in (2, 7, len(content)):
        assert repacked(tmp_path, Archive("x.tar.xz", pieces(tmp_path, content, count))) == MEMBERS


@pytest.mark.parametrize("wrong", [lambda p: p[:-1], lambda p: (p[0], p[2], p[1], p[3])])
def test_a_missing_piece_or_a_wrong_order_is_told(tmp_path: Path, wrong):
    paths = wrong(pieces(tmp_path, lzma.compress(tar()), 4))
    with pytest.raises(PocketfaceError, match=rf"x\.tar\.xz0 and {len(paths) - 1} more.*damaged or cut"):
        pack([Archive("x.tar.xz", paths)], tmp_path / "files.zip")


def test_a_zip_in_pieces_is_told(tmp_path: Path):
    with pytest.raises(PocketfaceError, match="join them first"):
        pack([Archive("x.zip", pieces(tmp_path, zipped(), 2))], tmp_path / "files.zip")


def test_folders_and_harmless_dots_are_passed_over(tmp_path: Path):
    def change(info: tarfile.TarInfo) -> None:
        if info.name in (".", "./faces"):
            info.type = tarfile.DIRTYPE

    content = tar({".": b"", "./faces": b"", "./faces//a..b.jpg": b"1"}, change)
    assert repacked(tmp_path, written(tmp_path, "x.tar", content)) == {"faces/a..b.jpg": b"1"}


SPELLINGS: list[Callable[[str], str]] = [
    str.upper,
    str.lower,
    str.title,
    lambda name: unicodedata.normalize("NFC", name),
    lambda name: unicodedata.normalize("NFD", name),
    lambda name: f"{name}.",
    lambda name: f"{name} ",
    lambda name: f"\u200c{name}",
]
NAMES = st.text("aBßéĲÅ\u212b\u0345.1 ", min_size=1, max_size=6).filter(lambda name: name.strip(". "))


@given(NAMES, st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS))
def test_a_name_is_the_same_in_each_spelling_that_a_file_system_ignores(name: str, one, other):
    assert same(one(other(name))) == same(name) == same(same(name))
    assert same(f"a/{name}/b") == f"a/{same(name)}/b"


@pytest.mark.parametrize(
    "pair", [("a.jpg", "A.JPG"), ("\u00e9", "e\u0301"), ("Straße", "STRASSE"), ("a", "a.")]
)
@pytest.mark.parametrize(("kind", "make"), [("x.zip", zipped), ("x.tar", tar)])
def test_two_names_that_one_file_system_takes_for_the_same_are_refused(tmp_path: Path, pair, kind, make):
    first, second = pair
    for members in ({first: b"1", second: b"2"}, {f"x/{first}": b"1", f"X/{second}": b"2"}):
        with pytest.raises(PocketfaceError, match="stands there twice"):
            pack([written(tmp_path, kind, make(members))], tmp_path / "files.zip")
    pack([written(tmp_path, kind, make({f"x/{first}": b"1", f"y/{second}": b"2"}))], tmp_path / "files.zip")


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["x.tar", "x.tar.gz", "x.tar.xz", "x.zip", "x.inner.zip"]))
def test_a_damaged_archive_never_ends_in_a_traceback(tmp_path_factory, data, kind: str):
    whole = {
        "x.tar": tar(),
        "x.tar.gz": gzip.compress(tar(), mtime=0),
        "x.tar.xz": lzma.compress(tar()),
        "x.zip": zipped(),
        "x.inner.zip": zipped({"a": b"1", "in.tar": tar({"b": b"2"})}, compression=zipfile.ZIP_STORED),
    }[kind]
    places = st.integers(0, len(whole) - 1)
    content = bytearray(whole)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)):
        content[place] = value
    content = content[: data.draw(st.one_of(st.just(len(whole)), places))]
    folder = tmp_path_factory.mktemp("damaged")
    target = folder / "files.zip"
    try:
        pack([written(folder, kind, bytes(content))], target, LIMITS)
    except PocketfaceError as error:
        assert "x." in str(error)
        assert not target.exists()
    else:
        assert zipfile.ZipFile(target).testzip() is None


def test_a_folder_is_packed_sorted_and_its_links_refused(tmp_path: Path):
    folder = tmp_path / "downloaded"
    for name, content in MEMBERS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    pack_folder(folder, tmp_path / "files.zip")
    assert list(unpacked(tmp_path / "files.zip").items()) == sorted(MEMBERS.items())
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(PocketfaceError, match=r"'link'.*symbolic link"):
        pack_folder(folder, tmp_path / "files.zip")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def assert_told_when_full(archive: Archive, target: Path) -> None:
    with pytest.raises(PocketfaceError, match=f"^{target}: no room to write it") as told:
        pack([archive], target)
    assert "\n" not in str(told.value)
    gc.collect()  # of a zip left unclosed
    assert list(target.parent.iterdir()) == []


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path: Path):
    archive = written(tmp_path, "x.tar", tar({"a": bytes(300_000), "b": bytes(300_000)}))
    target = tmp_path / "raw" / "files.zip"
    with largest_file(400_000):
        assert_told_when_full(archive, target)
    assert pack([archive], target) == 2


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_file_system_is_told_in_one_line_and_leaves_nothing(tmp_path: Path, small_disk: Path):
    archive = written(tmp_path, "x.tar", tar({"a": bytes(300_000)}))
    assert_told_when_full(archive, small_disk / "raw" / "files.zip")
