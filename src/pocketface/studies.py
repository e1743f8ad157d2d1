"""The ready studies: take one, and keep in git what its report says."""

import difflib
import hashlib
import re
import shutil
from pathlib import Path

from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import committed, write_text, written_whole

TAKEN = outs.KEPT / "params.sha256"
"""What `use` wrote last, so that a study may be edited and taken again."""
COMPARISON, PLOTS = "comparison.md", "plots"


def names() -> list[str]:
    """The studies in `studies/`."""
    return sorted(path.stem for path in outs.STUDIES.glob("*.yaml"))


def file_of(name: str) -> Path:
    """The params file of a study.

    Raises:
        PocketfaceError: there is none; it lists the studies.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        meant = f"did you mean {close[0]!r}? There" if close else "there"
        raise PocketfaceError(f"{outs.STUDIES}/: no study {name!r}; {meant} are {', '.join(names())}")
    return outs.STUDIES / f"{name}.yaml"


def about(name: str) -> str:
    """The first sentence of a study's file."""
    lines = file_of(name).read_text(encoding="utf-8").splitlines()
    return lines[0].removeprefix("#").strip() if lines else ""


def use(name: str) -> str:
    """Makes `studies/NAME.yaml` the params file.

    Returns:
        What was done.

    Raises:
        PocketfaceError: there is no such study, it is not valid, or params.yaml has what is nowhere else.
    """
    from pocketface.study import load_study

    source = file_of(name)
    load_study(source)
    content = source.read_bytes()
    now = outs.PARAMS.read_bytes() if outs.PARAMS.is_file() else content
    if now != content and not _kept(now):
        raise PocketfaceError(
            f"{outs.PARAMS}: holds changes that are in no file of {outs.STUDIES}/ and not committed; "
            f"`mv {outs.PARAMS} {outs.STUDIES}/mine.yaml` makes them a study, "
            f"`git checkout {outs.PARAMS}` drops them"
        )
    with written_whole(outs.PARAMS) as partial:
        partial.write_bytes(content)
    if outs.DVC.is_dir():
        write_text(TAKEN, hashlib.sha256(content).hexdigest())
    return f"{outs.PARAMS}: study {name}, a copy of {source}"


def _kept(content: bytes) -> bool:
    """Whether a params file is still somewhere else, or is what `use` wrote."""
    if any(path.read_bytes() == content for path in outs.STUDIES.glob("*.yaml")):
        return True
    if TAKEN.is_file() and TAKEN.read_text() == hashlib.sha256(content).hexdigest():
        return True
    return committed(outs.PARAMS) == content


def release(study: str) -> Path:
    """Copies the short form of a study's report to `docs/results/STUDY`, for git.

    Returns:
        The comparison that it wrote: a screen a model. Beside it are the pictures that it shows unfolded.

    Raises:
        PocketfaceError: there is no report.
    """
    report, out = outs.REPORTS / study, outs.RELEASED / study
    if not (report / COMPARISON).is_file():
        raise PocketfaceError(f"{report / COMPARISON}: no such file; `dvc repro report` makes it")
    comparison = (report / COMPARISON).read_text(encoding="utf-8")
    unfolded = re.sub(r"<details>.*?</details>\n*", "", comparison, flags=re.DOTALL)
    write_text(out / COMPARISON, unfolded.replace(f"]({PLOTS}/", "]("))
    for picture in (report / PLOTS).glob("*.png"):
        shutil.copyfile(picture, out / picture.name)
    return out / COMPARISON
