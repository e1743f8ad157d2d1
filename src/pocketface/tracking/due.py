"""Whether the store lacks anything since it was last brought up to date from here; MLflow is not imported."""

from pathlib import Path

from pocketface.core import outs
from pocketface.core.files import write_text
from pocketface.tracking.store import address_of, content_key

PUBLISHED = outs.KEPT / "published.sha256"


def due() -> bool:
    """Whether dvc.lock, params.yaml or the store's address has changed, or the store is gone."""
    database = address_of(Path()).partition("sqlite:///")[2]
    gone = bool(database) and not Path(database).is_file()
    return gone or not PUBLISHED.is_file() or PUBLISHED.read_text() != _state()


def done() -> None:
    """Remembers that everything is published."""
    if outs.LOCK.is_file():
        write_text(PUBLISHED, _state())


def _state() -> str:
    return content_key((outs.LOCK, outs.PARAMS), address_of(Path()))
