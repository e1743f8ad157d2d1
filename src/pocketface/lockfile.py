"""dvc.lock, made good where a run was killed while DVC wrote it.

    heal()      # before DVC reads it
    keep()      # when DVC has ended well

DVC empties the file and writes it anew after every stage. What is killed in these milliseconds leaves nothing
of it, or a part that DVC refuses ever after. So the last good file is kept; what was made since it was kept
comes out of DVC's cache.
"""

import shutil
import subprocess
import sys

from pocketface.core import outs
from pocketface.core.files import written_whole

GOOD = outs.KEPT / "dvc.lock"
CONFLICT = b"<<<<<<<"
"""What git leaves of a merge is for a person to settle."""


def heal() -> None:
    """Takes back the last good dvc.lock, or the committed one, in place of one that DVC cannot read.

    Says so on stderr. Does nothing outside a repository of DVC, nor while another DVC is at work in it.
    """
    if not (outs.DVC.is_dir() and outs.LOCK.is_file()):
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
                keep()
            except DvcException:
                _take_back()
    except (DvcException, OSError):  # of the repository: at work elsewhere, none, or read-only
        return


def keep() -> None:
    """Keeps dvc.lock as the last good one."""
    if outs.LOCK.is_file():
        with written_whole(GOOD) as partial:
            shutil.copyfile(outs.LOCK, partial)


def _take_back() -> None:
    git = ["git", "show", f"HEAD:./{outs.LOCK}"]
    if GOOD.is_file():
        content, whence = GOOD.read_bytes(), "as it was kept before"
    elif (shown := subprocess.run(git, capture_output=True, check=False)).returncode == 0:
        content, whence = shown.stdout, "as committed"
    else:
        content, whence = None, "without it: every stage is looked at again"
    if content is None:
        outs.LOCK.unlink()
    else:
        with written_whole(outs.LOCK) as partial:
            partial.write_bytes(content)
    print(
        f"note: {outs.LOCK} was damaged, as by a run that was killed while DVC wrote it; goes on {whence}. "
        "What was made since comes from DVC's cache.",
        file=sys.stderr,
    )
