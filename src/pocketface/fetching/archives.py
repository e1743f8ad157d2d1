"""Unpacking untrusted archives into one plain zip.

Members are streamed, in archive order, into an uncompressed zip with fixed dates: equal archives give equal
bytes, and no name in an archive is a path on this disk. One bad member refuses the whole archive. An archive
in an archive is opened, one level deep, and its members stand below its own name,
`fer2013.tar.gz/fer2013/fer2013.csv`; both count towards the limits.
"""

import bz2
import errno
import functools
import gzip
import io
import lzma
import re
import stat
import struct
import sys
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import remove, written_whole
from pocketface.fetching.sources import Limits

BLOCK = 2**18

DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError),
    *(NotImplementedError, RecursionError, struct.error, UnicodeDecodeError),
)
"""What the standard library raises for a damaged or truncated archive (in the second line: for headers that
ask for what cannot be done, or follow each other without end), besides an OSError without number (bad data)
or with EINVAL (a seek to before the start)."""

TAR_KINDS = {
    **{tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.FIFOTYPE: "a pipe"},
    **{tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device"},
}
EXTENDED = b"xgXLK"
"""Types of tar headers that hold names and dates of the next one, which `tarfile` reads whole."""
LONGEST_HEADER = 2**16
"""Bytes of an extended tar header; an honest one holds a name and a few dates."""
LONGEST_NAME = 512
"""Bytes of a member's name; Windows has 260 letters."""
DIRECTORY_ENTRY, DIRECTORY_BYTES = b"PK\x01\x02", 256
"""How a member begins in a zip's directory, and how many bytes it has there, on average, at most."""
CONTROL = {"Cc", "Zl", "Zp"}
"""Unicode's categories of characters that move the cursor."""
REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Unicode's directions of characters that reorder others: `photo<RLO>gpj.exe` looks like `photoexe.jpg`."""
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 0x1
NAME_IS_UTF8 = 0x800
ANEW = "delete it and run again to fetch it anew"
NO_BOMB = "if that is no decompression bomb, raise the source's `limits` in data/sources.yaml"
LONGEST_PADDING = 2**24
"""Bytes of zeros after a tar's end; writers pad to their block size, at most a few megabytes."""

MAGIC = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gz", b"\xfd7zXZ\x00": "xz", b"BZh": "bz2"}
"""How a file begins -> its kind; a tar has its magic further in."""
TAR_MAGIC = slice(257, 262), b"ustar"

PIECE = re.compile(
    r"(?P<whole>.+\.(zip|tgz|tar|tar\.(gz|xz|bz2)|gz|xz|bz2))\.?([a-c][a-z]|\d{2,3})", re.IGNORECASE
)
"""A file that `split` made: `AFAD-Full.tar.xzaa`, `AFAD-Full.tar.xz.aa`, `faces.tar.gz.001`."""

OPEN: dict[str, Callable[[IO[bytes]], Any]] = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}


@dataclass(frozen=True)
class Archive:
    """A file that holds members: a tar, a zip, one compressed file, or the wanted file itself.

    Attributes:
        name: whether it is an archive at all (`.tar.xz`, `.zip`, `.csv.gz`) or the file itself (`.csv`); how
            it is packed is told from its first bytes.
        parts: the files that make it up, joined in this order; more than one only for a tar or a
            compressed file.
        inside: what messages call the archive that holds it; empty for one that lies on the disk.
    """

    name: str
    parts: tuple[Path, ...]
    inside: str = ""

    @property
    def label(self) -> str:
        """What messages call it."""
        more = f" and {len(self.parts) - 1} more" if len(self.parts) > 1 else ""
        return f"{self.inside}: {self.name}" if self.inside else f"{self.parts[0]}{more}"


class Member(NamedTuple):
    """One file in an archive: its name, its size in bytes where the archive claims one, and its content, to
    be opened once, before the next member is asked for.
    """

    name: str
    size: int | None
    open: Callable[[], IO[bytes]]


def pack(archives: Iterable[Archive], target: Path, limits: Limits | None = None) -> int:
    """Writes the members of all `archives` into the zip `target`; the number of members.

    The zip is stored (not compressed); names are relative with forward slashes; folders are left out.

    Raises:
        PocketfaceError: an archive is damaged, truncated, empty, encrypted or not what its name says; a
            member is not a plain file under a safe and new name; a limit is exceeded; the disk is full.
            `target` is then left as it was.
    """
    aside = target.with_name(f".{target.name}.inner")
    try:
        with written_whole(target) as partial:
            remove(aside)
            aside.mkdir()
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as packed:
                packing = _Packing(packed, limits or Limits(), aside)
                for archive in archives:
                    packing.add(archive)
            return len(packed.filelist)
    finally:
        remove(aside)


def pack_folder(folder: Path, target: Path) -> None:
    """Writes the files below `folder`, sorted by name, into the zip `target`.

    Raises:
        PocketfaceError: as `pack`; a link is not followed but refused.
    """
    with written_whole(target) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file()):
            name = safe_name(path.relative_to(folder).as_posix(), str(folder))
            if path.is_symlink():
                raise _refused(str(folder), name, "a symbolic link")
            size = path.stat().st_size
            _store(packed, name, Member(name, size, functools.partial(io.FileIO, path)), str(folder), size)


def archives_of(files: Mapping[str, Path], inside: str = "") -> list[Archive]:
    """Files, name -> where it lies, as archives sorted by name; the pieces of one are one.

    Pieces of a file that is there whole as well are passed over.
    """
    found: dict[str, list[Path]] = {}
    for name, path in sorted(files.items()):
        whole = _piece(name) or name
        if whole == name or whole not in files:
            found.setdefault(whole, []).append(path)
    return [Archive(name, tuple(parts), inside) for name, parts in found.items()]


def is_archive(name: str) -> bool:
    """Whether a file of this name is taken for an archive, or a piece of one; hidden files are not."""
    return not PurePosixPath(name).name.startswith(".") and bool(kind_of(name) or _piece(name))


def _piece(name: str) -> str | None:
    found = None if kind_of(name) else PIECE.fullmatch(name)
    return found["whole"] if found else None


@dataclass
class _Packing:
    """A zip that is being written, what may go into it, and a folder for archives found in archives; then the
    names of all members met and of the folders they stand in, as `same` has them, their number and bytes.
    """

    packed: zipfile.ZipFile
    limits: Limits
    aside: Path
    names: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    count: int = 0
    total: int = 0

    def add(self, archive: Archive) -> None:
        """Copies the members of an archive, then those of the archives among them."""
        before = self.count
        inner: dict[str, Path] = {}
        if archive.inside:  # its members stand below its name
            self.names.discard(same(archive.name))
        try:
            for member in _members(archive, self.limits.members):
                self._add(archive, member, inner)
        except (OSError, *DAMAGED) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            told = f"the archive is damaged or cut short ({error or type(error).__name__})"
            raise PocketfaceError(f"{archive.label}: {told}; {ANEW}") from None
        if self.count == before:
            raise PocketfaceError(f"{archive.label}: the archive is empty; {ANEW}")
        for found in archives_of(inner, archive.label):
            self.add(found)
            for part in found.parts:
                part.unlink()

    def _add(self, archive: Archive, member: Member, inner: dict[str, Path]) -> None:
        """Copies one member into the zip, or beside it if it is an archive, which `inner` then names."""
        name = self._new_name(archive, member)
        left = min(self.limits.member, self.limits.total - self.total)
        if not is_archive(name):
            self.total += _store(self.packed, name, member, archive.label, left)
        elif archive.inside:
            deep = "an archive in an archive in an archive (unpack the outer one first)"
            raise _refused(archive.label, member.name, deep)
        else:
            inner[name] = self.aside / str(self.count)
            with inner[name].open("wb") as file:
                self.total += _copy(member, file, archive.label, left)

    def _new_name(self, archive: Archive, member: Member) -> str:
        name = safe_name(member.name, archive.label)
        name = f"{archive.name}/{name}" if archive.inside else name
        key = same(name)
        folders = {key[:end] for end, letter in enumerate(key) if letter == "/"}
        if key in self.names:
            raise _refused(archive.label, member.name, "the same name stands there twice, or spelt alike")
        if key in self.folders or not folders.isdisjoint(self.names):
            raise _refused(archive.label, member.name, "a name is that of a file and of a folder")
        self.names.add(key)
        self.folders |= folders
        self.count += 1
        if self.count > self.limits.members:
            raise _too_many(archive.label, self.limits.members)
        return name


def header(name: str) -> zipfile.ZipInfo:
    """What a zip of ours says of a member; its date is `ZipInfo`'s own, the earliest that a zip can hold."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def _store(packed: zipfile.ZipFile, name: str, member: Member, archive: str, limit: int) -> int:
    """Copies one member; its size in bytes, which is at most `limit`."""
    info = header(name)
    info.file_size = min(member.size or 0, limit)
    with packed.open(info, "w", force_zip64=member.size is None) as stored:
        return _copy(member, stored, archive, limit)


def _copy(member: Member, target: IO[bytes], archive: str, limit: int) -> int:
    if member.size is not None and member.size > limit:
        raise _too_large(archive, member.name, limit)
    copied = 0
    with member.open() as source:
        while block := source.read(BLOCK):
            copied += len(block)
            if copied > limit:
                raise _too_large(archive, member.name, limit)
            target.write(block)
    if member.size is not None and copied != member.size:
        raise EOFError(f"{member.name} has {copied} bytes and should have {member.size}")
    return copied


def _members(archive: Archive, most: int) -> Iterator[Member]:
    """The files in an archive, in its order; folders are passed over, but count to the `most`."""
    kind = _kind(archive)
    if kind == "zip":
        yield from _zip_members(archive, most)
        return
    with io.BufferedReader(_Joined(archive.parts), BLOCK) as raw:
        compression = kind.removeprefix("tar").removeprefix(".")
        plain = OPEN[compression](raw) if compression else raw
        if kind.startswith("tar"):
            yield from _tar_members(plain, archive.label, most)
        else:
            path = PurePosixPath(archive.name)
            yield Member(path.stem if compression else path.name, None, lambda: plain)


def kind_of(name: str) -> str:
    """What a file name says the content is: `zip`, `tar`, `tar.gz`, `tar.xz`, `tar.bz2`, `gz`, … or ``."""
    found = re.search(r"\.(zip|tgz|tar(\.(gz|xz|bz2))?|gz|xz|bz2)$", name.lower())
    if found is None:
        return ""
    return "tar.gz" if found[1] == "tgz" else found[1]


def safe_name(name: str, archive: str) -> str:
    """A member's name without `./` and doubled slashes.

    Raises:
        PocketfaceError: it is absolute, climbs (`..`), is too long, or holds a backslash, a drive letter, a
            control character or one that reorders the others.
    """
    name = decoded(name.encode("utf-8", "surrogateescape"))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    odd = [letter for letter in name if not letter.isprintable()]
    wrong = {
        f"a name of more than {LONGEST_NAME} bytes": len(name.encode()) > LONGEST_NAME,
        "a control character in the name": any(unicodedata.category(one) in CONTROL for one in odd),
        "a character in the name that reorders the others": any(
            unicodedata.bidirectional(one) in REORDERS for one in odd
        ),
        "a backslash in the name": "\\" in name,
        "an absolute path": name.startswith("/") or re.match(r"[A-Za-z]:", name),
        "the path leads out of the folder": ".." in parts,
        "a file without a name": not parts or name.endswith("/"),
    }
    for why, is_so in wrong.items():
        if is_so:
            raise _refused(archive, name if len(name) <= LONGEST_NAME else f"{name[:40]}...", why)
    return "/".join(parts)


def same(name: str) -> str:
    """What is equal for all names that some file system takes for one: whatever their case and Unicode form,
    without what it ignores, invisible characters and the dots and blanks at the end of a part.
    """
    if name.isascii():
        folded = name.lower()
    else:
        folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
        folded = "".join(letter for letter in folded if unicodedata.category(letter) != "Cf")
    return "/".join(part.rstrip(". ") for part in folded.split("/"))


def decoded(name: bytes) -> str:
    """A member's name as text. One that is not UTF-8 is read as code page 437, as a zip's used to be: its
    letters may be others than the packer saw, yet every byte is one, and the same one each time. A backslash
    in it may be half of a letter and becomes `_`.
    """
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437").replace("\\", "_")


def _check_folder(name: str, archive: str) -> None:
    """A folder is not kept, but a bad one condemns the archive all the same."""
    if name not in (".", "./"):
        safe_name(name.rstrip("/") or "/", archive)


class _StrictTarInfo(tarfile.TarInfo):
    """A tar header; one that is damaged or missing is an error.

    `tarfile` takes a bad header after the first member for the end of the archive, so that a truncated
    archive would pass for a short one. Only a block of zeros is the end. And it reads long names and
    extended headers into memory whatever their size, where a bomb could hide.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_StrictTarInfo":
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"bad or missing header ({error})") from None
        if info.type in EXTENDED and info.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"an extended header of {info.size} bytes")
        return info


def _tar_members(plain: IO[bytes], archive: str, most: int) -> Iterator[Member]:
    with tarfile.open(
        fileobj=plain, mode="r|", tarinfo=_StrictTarInfo, bufsize=BLOCK, encoding="utf-8"
    ) as tar:
        for count, info in enumerate(tar, 1):
            if count > most:
                raise _too_many(archive, most)
            if info.isdir():
                _check_folder(info.name, archive)
                continue
            if not info.isreg() or info.issparse():
                what = "a sparse file" if info.issparse() else TAR_KINDS.get(info.type, "not a plain file")
                raise _refused(archive, info.name, what)
            content = cast(Callable[[], IO[bytes]], functools.partial(tar.extractfile, info))
            yield Member(info.name, info.size, content)
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps every header it has seen
        _check_end(cast(IO[bytes], tar.fileobj))


def _check_end(rest: IO[bytes]) -> None:
    """Reads on to the end, where a compressed file has its checksum; only zeros may stand there."""
    padding = 0
    while block := rest.read(BLOCK):
        padding += len(block)
        if any(block) or padding > LONGEST_PADDING:
            raise tarfile.ReadError("data after the end of the archive")


class _Bounded(io.BufferedReader):
    """A zip of which no more is read at once than a directory of `most` members. `zipfile` reads the
    directory in one go, whatever its size, and makes of each member an object that takes far more memory.
    """

    def __init__(self, archive: Archive, most: int) -> None:
        super().__init__(io.FileIO(archive.parts[0]))
        self.label, self.most = archive.label, most

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size) if (size or 0) <= self.most * DIRECTORY_BYTES + BLOCK else None
        if content is None or content.count(DIRECTORY_ENTRY) > self.most:
            raise _too_many(self.label, self.most)
        return content


def _zip_members(archive: Archive, most: int) -> Iterator[Member]:
    if len(archive.parts) > 1:
        raise PocketfaceError(f"{archive.label}: a zip in pieces cannot be streamed; join them first")
    with _Bounded(archive, most) as raw, zipfile.ZipFile(raw) as packed:
        raw.most = sys.maxsize  # from here on it reads what the members hold
        for info in packed.infolist():
            name = info.orig_filename
            if not info.flag_bits & NAME_IS_UTF8:  # then `zipfile` has read it as code page 437
                name = decoded(name.encode("cp437"))
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                link = stat.S_ISLNK(mode)
                raise _refused(archive.label, name, "a symbolic link" if link else "not a plain file")
            if name.endswith("/"):
                _check_folder(name, archive.label)
                continue
            if info.flag_bits & ENCRYPTED:
                raise _refused(archive.label, name, "it is encrypted")
            if info.compress_type not in ZIP_METHODS:
                raise _refused(archive.label, name, f"unknown compression method {info.compress_type}")
            yield Member(name, info.file_size, functools.partial(packed.open, info))


def _kind(archive: Archive) -> str:
    """What the content is, in the words of `kind_of`. A zip that was saved as `.tar.gz` is a zip; a web page
    that was is an error.
    """
    named = kind_of(archive.name)
    with io.BufferedReader(_Joined(archive.parts), BLOCK) as raw:
        start = raw.read(512)
    if not start:
        raise PocketfaceError(f"{archive.label}: the file is empty; {ANEW}")
    if not named:
        return ""
    place, magic = TAR_MAGIC
    if start[place] == magic:
        return "tar"
    found = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    if found is None:
        raise PocketfaceError(
            f"{archive.label}: not a {named} archive, it starts with {start[:16]!r}; {ANEW}"
        )
    return found if found == "zip" or named in OPEN else f"tar.{found}"


class _Joined(io.RawIOBase):
    """Files, one after the other, one open at a time. Not seekable."""

    def __init__(self, parts: tuple[Path, ...]) -> None:
        self._files = map(io.FileIO, parts)
        self._file = next(self._files)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not (count := self._file.readinto(buffer)):
            if (following := next(self._files, None)) is None:
                break
            self._file.close()
            self._file = following
        return count or 0

    def close(self) -> None:
        self._file.close()
        super().close()


def _refused(archive: str, member: str, why: str) -> PocketfaceError:
    return PocketfaceError(
        f"{archive}: member {member!r} is refused: {why}; nothing of the archive is used. "
        "Get the archive from its publisher, and give its sha256 in data/sources.yaml"
    )


def _too_many(archive: str, most: int) -> PocketfaceError:
    more = f"it has more than {most} members, or a directory as large"
    return PocketfaceError(f"{archive}: the archive is refused: {more}; {NO_BOMB}")


def _too_large(archive: str, member: str, limit: int) -> PocketfaceError:
    more = f"it unpacks to more than the {limit} bytes left to it"
    return PocketfaceError(f"{archive}: member {member!r} is refused: {more}; {NO_BOMB}")
