"""From a source to its archives on this disk, which are checked each time.

A file is looked for in `data/archives/`, then in the mirror that `POCKETFACE_MIRROR` names (a folder or an
http address), then upstream. Archives of other names are used, too: see `held`.
"""

import shutil
import urllib.parse
from functools import partial
from pathlib import Path

from pocketface.core import outs
from pocketface.core.addresses import address_in
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import alone, written_whole
from pocketface.core.threads import in_order
from pocketface.fetching import clients
from pocketface.fetching.archives import Archive, archives_of, is_archive
from pocketface.fetching.download import NotThere, WrongFile, check, download
from pocketface.fetching.sources import AnyUpstream, Copy, File, GoogleDrive, Https, Kaggle, Pypi, Source

MIRROR = "POCKETFACE_MIRROR"
LISTS = (".csv", ".txt")
AT_ONCE = 4
"""Downloads side by side; more would be impolite to one server."""


class Unavailable(PocketfaceError):
    """A file is in none of the places it could come from; what is wrong otherwise is a plain error."""


def obtain_dataset(name: str, source: Source, folder: Path = outs.ARCHIVES) -> list[Archive]:
    """As `obtain`, but archives that are `held` in `folder` or in the mirror come first.

    A file that the source does not name has no checksum there: its SHA-256 is printed.

    Raises:
        PocketfaceError: as `obtain`.
    """
    mirror, parts = address_in(MIRROR), source.parts()
    for place in (folder, *([Path(mirror)] if mirror and not is_address(mirror) else [])):
        if archives := held(name, source, place):
            known = {place / copy.path: copy for part in parts for copy in part.copies()}
            for path in (part for archive in archives for part in archive.parts):
                if place != folder:
                    _check_inside(path, place)
                check(path, known.get(path, Copy(str(path))), str(path))
            return archives
        if any(present(part, place) for part in parts):
            break
    return obtain(source, folder)


def held(name: str, source: Source, place: Path) -> list[Archive]:
    """What lies in the folder of dataset `name` below `place` under other names than those of the source: all
    archives there, and lists as csv or txt.

    Nothing if all files of the source are there, or no other archive and no other csv.
    """
    wanted = [present(part, place) for part in source.parts()]
    paths = [
        path
        for path in (place / name).glob("[!.]*")
        if path.is_file() and (is_archive(path.name) or path.suffix.lower() in LISTS)
    ]
    if all(wanted) or all(path in wanted or path.suffix.lower() == ".txt" for path in paths):
        return []
    return archives_of({path.name: path for path in paths})


def obtain(source: Source, folder: Path = outs.ARCHIVES) -> list[Archive]:
    """Makes sure that every file of `source` is in `folder`, and checks it.

    Returns:
        The archives in the order of the source, a file in pieces as one.

    Raises:
        Unavailable: a file could not be had anywhere; the message lists the places tried and what to do about
            each.
        PocketfaceError: a file is the wrong one; it is then moved aside.
    """
    one = partial(_obtain, folder=folder, mirror=address_in(MIRROR))
    paths = iter(list(in_order(one, source.parts(), AT_ONCE)))
    archives = []
    for file in source.files:
        found = tuple(next(paths) for _ in file.parts())
        archives.append(Archive(Path(file.mirror).name if file.pieces else found[0].name, found))
    return archives


def obtain_weights(source: Source, folder: Path = outs.ARCHIVES) -> Path:
    """The file of weights: that in the repository, or obtained; raises as `obtain`."""
    return Path(source.kept) if source.kept else obtain(source, folder)[0].parts[0]


def present(file: File, folder: Path = outs.ARCHIVES) -> Path | None:
    """Where `file` lies in the archives folder (or in a mirror), unchecked; None if it does not."""
    paths = (folder / copy.path for copy in file.copies())
    return next((path for path in paths if path.is_file()), None)


def is_address(mirror: str) -> bool:
    """Whether a mirror is an http address rather than a folder."""
    return mirror.startswith(("http://", "https://"))


def _obtain(file: File, folder: Path, mirror: str) -> Path:
    with alone(folder / file.mirror):
        for copy in file.copies():
            if (folder / copy.path).is_file():
                return _checked(folder / copy.path, copy)
        failures = [] if mirror else [f"mirror: {MIRROR} is not set"]
        for copy in file.copies() if mirror else []:
            try:
                return _from_mirror(mirror, copy, folder / copy.path)
            except NotThere as error:
                failures.append(f"mirror: {error}")
        for upstream in file.upstream:
            copy = file.copy_from(upstream)
            try:
                return _from_upstream(upstream, copy, folder / copy.path)
            except WrongFile:
                raise
            except PocketfaceError as error:
                failures.append(f"{upstream.kind}: {error}")
        raise Unavailable("\n  ".join([f"{folder / file.mirror}: could not be had anywhere", *failures]))


def _from_mirror(mirror: str, copy: Copy, target: Path) -> Path:
    """Raises `NotThere` if the mirror does not have it."""
    if is_address(mirror):
        download(f"{mirror.rstrip('/')}/{urllib.parse.quote(copy.path)}", target, copy)
        return target
    if not Path(mirror).is_dir():
        raise PocketfaceError(f"{MIRROR}={mirror}: no such folder; correct it, or unset it to go upstream")
    origin = Path(mirror) / copy.path
    if not origin.is_file():
        raise NotThere(f"{origin}: no such file")
    _check_inside(origin, Path(mirror))
    with written_whole(target) as partial:
        shutil.copyfile(origin, partial)
        check(partial, copy, str(origin))
    return target


def _check_inside(path: Path, mirror: Path) -> None:
    """Our own archives may be links to wherever they lie; a mirror is somebody else's."""
    if not path.resolve().is_relative_to(mirror.resolve()):
        raise PocketfaceError(
            f"{path}: a link that leads out of the mirror, to {path.resolve()}, and is not followed; "
            f"have the file itself put there, or put it into {outs.ARCHIVES}"
        )


def _from_upstream(upstream: AnyUpstream, copy: Copy, target: Path) -> Path:
    match upstream:
        case Https():
            download(upstream.url, target, copy)
            return target
        case GoogleDrive():
            clients.from_google_drive(upstream, target)
        case Kaggle():
            clients.from_kaggle(upstream, target)
        case Pypi():
            clients.from_pypi(upstream, target)
        case _:
            raise PocketfaceError(f"put it at {target}: {upstream.instructions.strip()}")
    return _checked(target, copy)


def _checked(path: Path, copy: Copy) -> Path:
    """The same path after `check`; a wrong file is moved aside so that the next run fetches it anew."""
    try:
        check(path, copy, str(path))
    except WrongFile as error:
        aside = path.with_name(f"{path.name}.wrong")
        path.replace(aside)
        raise WrongFile(f"{error} (moved to {aside})") from None
    return path
