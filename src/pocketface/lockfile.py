"""dvc.lock, made good where a run was killed while DVC wrote it.

DVC writes the file in place after every stage: a kill in these milliseconds leaves nothing of it, or a part
that DVC refuses ever after. So the last good file is kept; what was made since comes out of DVC's cache. It
writes its list of who reads and writes what in the same way.
"""

import shutil
import sys
from contextlib import suppress
from pathlib import Path

from pocketface.core import outs
from pocketface.core.files import committed, parse_json, written_whole

GOOD = outs.KEPT / "dvc.lock"
END = b"\n"
"""What DVC ends the file with. Parts that end otherwise may be readable, with a hash or size cut short."""
CONFLICT = b"<<<<<<<"
"""What git leaves of a merge is for a person to settle."""


def heal() -> None:
    """Takes back the last good dvc.lock, or the committed one, in place of one that DVC cannot read.

    Says so on stderr. Does nothing outside a repository of DVC, nor while another DVC is at work in it. DVC's
    list of readers and writers is removed where it cannot be read: those that are alive write it again.
    """
    if not outs.DVC.is_dir():
        return
    _remove_damaged_users()
    if not outs.LOCK.is_file():
        return
    content = outs.LOCK.read_bytes()
    if CONFLICT in content or (GOOD.is_file() and GOOD.read_bytes() == content):
        return
    from dvc.dvcfile import Lockfile
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo, repo.lock:
            try:
                Lockfile(repo, str(outs.LOCK.absolute())).load()
                whole = content.endswith(END)
            except DvcException:
                whole = False
            keep() if whole else _take_back()
    except (DvcException, OSError):  # of the repository: at work elsewhere, none, or read-only
        return


def _remove_damaged_users() -> None:
    users = outs.DVC / "tmp/rwlock"
    if _is_json(users):
        return
    from dvc.lock import LockError, make_lock

    guard = make_lock(str(users.with_name("rwlock.lock")), tmp_dir=str(users.parent))
    with suppress(LockError), guard:
        if not _is_json(users):  # nor was another DVC writing it
            users.unlink()


def _is_json(file: Path) -> bool:
    """Whether it is, or is not there."""
    with suppress(FileNotFoundError):
        try:
            parse_json(file.read_text(encoding="utf-8"))
        except ValueError:
            return False
    return True


def keep() -> None:
    """Keeps dvc.lock as the last good one."""
    if outs.LOCK.is_file():
        with written_whole(GOOD) as partial:
            shutil.copyfile(outs.LOCK, partial)


def _take_back() -> None:
    content, whence = committed(outs.LOCK), "as committed"
    if GOOD.is_file():
        content, whence = GOOD.read_bytes(), "as it was kept before"
    if content is None:
        outs.LOCK.unlink()
        whence = "without it: every stage is looked at again"
    else:
        with written_whole(outs.LOCK) as partial:
            partial.write_bytes(content)
    print(
        f"note: {outs.LOCK} was damaged, as by a run that was killed while DVC wrote it; goes on {whence}. "
        "What was made since comes from DVC's cache.",
        file=sys.stderr,
    )
