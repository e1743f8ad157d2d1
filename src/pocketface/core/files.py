"""Writing files so that a reader never sees half of one, and so that equal content means equal bytes."""

import hashlib
import json
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pocketface.core.errors import FULL, PocketfaceError

LARGEST_TEXT = 2_000_000
"""Bytes of a params file, a card; the largest of ours has 60,000. YAML is read at 250,000 a second."""


@contextmanager
def told_when_full(path: Path) -> Iterator[None]:
    """Turns a full disk, met while writing `path` or a temporary file, into a `PocketfaceError`."""
    try:
        yield
    except OSError as error:
        if (found := FULL.search(str(error))) is None:
            raise
        folder = next(parent for parent in path.absolute().parents if parent.is_dir())
        places = dict.fromkeys((folder, Path(tempfile.gettempdir())))
        free = " and ".join(f"{shutil.disk_usage(place).free / 1e6:.0f} MB in {place}" for place in places)
        raise PocketfaceError(
            f"{path}: no room to write it ({found[0]}; free: {free}); make room and run again"
        ) from None


@contextmanager
def written_whole(path: Path, folder: bool = False) -> Iterator[Path]:
    """Yields a path beside `path` to write to, of a `folder` that is there; renames it to `path` when the
    block ends well.

    Works for a file or a folder. When the block raises, what was written is removed and an earlier
    `path` is left as it was.

    Raises:
        PocketfaceError: the disk is full.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with told_when_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove(partial)
            if folder:
                partial.mkdir()
            yield partial
            if path.is_dir():
                remove(path)
            partial.replace(path)
    except BaseException:
        remove(partial)
        raise


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process or thread is in such a block for `path`: two trainings that start side by
    side want the same weights, and one fetches them.

    A hidden file of that name with `.lock` stays beside it; a killed process holds nothing.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole, as UTF-8; where it cannot be written, that is a `PocketfaceError`."""
    try:
        with written_whole(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise PocketfaceError(f"{path}: cannot be written ({error.strerror})") from None


def write_json(path: Path, content: Any) -> None:
    """As `write_text`, JSON with sorted keys and floats of six significant digits."""
    write_text(path, json.dumps(rounded(content), indent=2, sort_keys=True) + "\n")


@contextmanager
def made_by(stage: str, path: Path, what: str = "") -> Iterator[None]:
    """Turns what the reading of an out raises into a `PocketfaceError` that names the stage that makes it,
    and `what` the out should be, e.g. `a results table`.
    """
    remedy = f"make it with `dvc repro {stage}`"
    try:
        yield
    except FileNotFoundError as error:
        raise PocketfaceError(f"{error.filename or path}: no such file; {remedy}") from None
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        told = what or f"what `{stage}` writes"
        raise PocketfaceError(f"{path}: not {told} ({error}); {remedy}") from None


class NotRegular(PocketfaceError):
    """A folder, a device, a pipe or the like where a file should be."""


class TooLarge(PocketfaceError):
    """A file of more bytes than any such file has."""


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file that may be somebody else's; nothing of a special file is read.

    Raises:
        OSError: it is not there, or may not be read.
        NotRegular: it is a special file.
        TooLarge: it has more than `most` bytes.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise NotRegular(f"{path}: not a regular file")
    if about.st_size <= most:
        with path.open("rb", buffering=0) as file:
            content = file.read(about.st_size + 1)  # so many bytes are set aside
            # It has grown meanwhile, does not say its size, or comes in parts.
            while len(content) != about.st_size and (more := file.read(most + 1 - len(content))):
                content += more
        if len(content) <= most:
            return content
    raise TooLarge(f"{path}: larger than {most:,} bytes, which no such file needs")


def read_text(path: Path) -> str:
    """The text of a file that may be somebody else's.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        PocketfaceError: it is no regular file, cannot be read, is larger than `LARGEST_TEXT` or not UTF-8.
    """
    try:
        return read_bytes(path, LARGEST_TEXT).decode()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise PocketfaceError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise PocketfaceError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None


def parse_json(text: str) -> Any:
    """JSON, of which no key stands twice in an object and every number is finite.

    Raises:
        ValueError: it is not, or it is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_unlike, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def rounded(content: Any, digits: int = 6) -> Any:
    """The same content with every float cut to `digits` significant digits."""
    if isinstance(content, dict):
        return {key: rounded(value, digits) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value, digits) for value in content]
    if isinstance(content, float):
        return float(f"{content:.{digits}g}")
    return content


def digest(path: Path, algorithm: str = "sha256") -> str:
    """A hash of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return digest(path)


def committed(path: Path) -> bytes | None:
    """What git's last commit has of a file, by its path from here; None where it has none."""
    try:
        return subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def git_revision(root: Path) -> str | None:
    """The commit that is checked out, `-dirty` where files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
