"""Opening an MLflow store, quickly or not at all.

MLflow takes seconds to import and minutes to give up on a server, hence the late imports and the short
patience. The artifacts of a SQLite store lie in `mlartifacts` beside it; MLflow records absolute locations
only, so opening a store that was moved or copied corrects them first (`_settle`).
"""

import hashlib
import logging
import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pocketface.core.addresses import address_in, without_secrets
from pocketface.core.errors import PocketfaceError, first_line
from pocketface.core.files import git_revision, sha256
from pocketface.training.settings import Plan

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

URI_VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
FOLDERS = (ARTIFACTS, "mlruns")
"""Where artifacts lie beside a SQLite store; `mlruns` is that of MLflow's experiment `Default`."""
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
"""Tables and columns in which MLflow records where artifacts are."""
NOT_FOUND = "%?#"
"""MLflow takes a path for an address when it loads a model, where these mean something else."""
EXPERIMENT_PREFIX = "pocketface-"
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds
    # A server that was merely slow would take a request that is sent again for a second run.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # a model's needs are few, not those of this repository
}
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
CONNECT_SECONDS = 3

KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Which of its two faces MLflow shows."""
PARENT_TAG, COMMIT_TAG, NOTE_TAG = "mlflow.parentRunId", "mlflow.source.git.commit", "mlflow.note.content"
"""The last is shown as the description, of a run and of an experiment."""


@dataclass(frozen=True)
class Store:
    """An open store and the experiment of one study in it."""

    client: "MlflowClient"
    experiment: str
    commit: str | None

    def runs(self) -> list["Run"]:
        """All runs of the experiment that are not deleted."""
        found: list[Run] = []
        token: str | None = ""
        while token is not None:
            page = self.client.search_runs([self.experiment], max_results=1000, page_token=token or None)
            found, token = [*found, *page], page.token or None
        return found

    def create(self, name: str, tags: Mapping[str, str]) -> str:
        """Starts a run and returns its id."""
        about = {"mlflow.source.name": "pocketface", "mlflow.source.type": "LOCAL"}
        about |= {COMMIT_TAG: self.commit} if self.commit else {}
        return self.client.create_run(self.experiment, tags=about | told(tags), run_name=name).info.run_id

    def log(
        self,
        run: str,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        step: int = 0,
        model_id: str | None = None,
    ) -> None:
        """Writes to a run, in one request; metrics with a `model_id` to that model too."""
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        self.client.log_batch(
            run,
            [Metric(name, value, now, step, model_id=model_id) for name, value in (metrics or {}).items()],
            [Param(name, value) for name, value in told(params or {}).items()],
            [RunTag(name, value) for name, value in told(tags or {}).items()],
        )

    def delete(self, run: str) -> None:
        """Deletes a run and its models."""
        for model in self.client.search_logged_models([self.experiment], f"source_run_id = '{run}'"):
            self.client.delete_logged_model(model.model_id)
        self.client.delete_run(run)

    def files(self, run: str, paths: Iterable[Path], folder: str | None = None) -> None:
        """Adds those files that exist."""
        for path in filter(Path.is_file, paths):
            self.client.log_artifact(run, str(path), folder)


def told(values: Mapping[str, Any]) -> dict[str, str]:
    """Tags or params as they are recorded."""
    return {name: without_secrets(str(value)) for name, value in values.items()}


def address_of(root: Path) -> str:
    """Where the store is: `MLFLOW_TRACKING_URI`, or `mlflow.db` below `root`."""
    default = str((root / DATABASE).resolve()).replace("%", "%25").replace("?", "%3F")
    return address_in(URI_VARIABLE) or f"sqlite:///{default}"


def content_key(paths: Iterable[Path], more: str = "") -> str:
    """A hash over a text and the contents of those files that exist."""
    parts = [f"{path.name} {sha256(path)}" for path in paths if path.is_file()]
    return hashlib.sha256("\n".join([*parts, more]).encode()).hexdigest()


@contextmanager
def failures_told(uri: str) -> Iterator[None]:
    """Turns whatever a store that is down, slow or refusing raises into a `PocketfaceError`."""
    prepare()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        root: BaseException = error  # `Connection refused`, not the layers around it
        while cause := root.__cause__ or root.__context__:
            root = cause
        why = first_line(root)
        raise PocketfaceError(
            f"{uri}: the MLflow store cannot be used ({why}). Start it, or name another with "
            f"{URI_VARIABLE}; nothing is lost, `pocketface track` publishes it all when the store is back"
        ) from None


@contextmanager
def default_store(uri: str) -> Iterator[None]:
    """Makes a store that of the whole process for a while: registering asks that one, not the client's."""
    import mlflow

    variable = os.environ.get(URI_VARIABLE)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        os.environ.pop(URI_VARIABLE, None)  # which MLflow has set
        if variable is not None:
            os.environ[URI_VARIABLE] = variable


def open_store(study: Plan, uri: str, root: Path = Path()) -> Store:
    """Opens a store and the study's experiment, which is made when it is new; `failures_told` goes around it.

    Raises:
        PocketfaceError: the address is none, the experiment was deleted, or the database is in a folder that
            MLflow cannot use, or was moved without its artifacts.
    """
    prepare()
    from mlflow import MlflowClient

    try:
        parts, database = urlsplit(uri), _database(uri)
        host, port = parts.hostname or "localhost", parts.port
    except ValueError:
        raise PocketfaceError(
            f"{uri}: not an address; in a user's name or a password, `:` is written %3A, `/` %2F and so on. "
            f"Correct {URI_VARIABLE}"
        ) from None
    if database:
        _create_database(database)
    if usual := DATABASE_PORTS.get(parts.scheme.partition("+")[0]):
        # MLflow itself would retry for minutes.
        socket.create_connection((host, port or usual), CONNECT_SECONDS).close()
    client = MlflowClient(tracking_uri=uri)
    name = f"{EXPERIMENT_PREFIX}{study.study}"
    experiment = client.get_experiment_by_name(name)
    if database:
        _settle(database)
    if experiment is None:
        artifacts = (database.parent / ARTIFACTS).as_uri() if database else None
        return Store(client, client.create_experiment(name, artifacts, KIND), git_revision(root))
    if experiment.lifecycle_stage != "active":
        place = shlex.quote(without_secrets(uri))
        raise PocketfaceError(
            f"{uri}: experiment {name} was deleted; bring it back with `{URI_VARIABLE}={place} mlflow "
            f"experiments restore -x {experiment.experiment_id}`, or empty the bin with "
            f"`mlflow gc --backend-store-uri {place}`"
        )
    return Store(client, experiment.experiment_id, git_revision(root))


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `training.learning_rate` -> value."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def prepare() -> None:
    """Imports MLflow, which reads some settings just then: without telemetry, and with little patience."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its warnings are advice on how to save models


def _database(uri: str) -> Path | None:
    """The file of a SQLite store, or a `PocketfaceError` where MLflow would find no model beside it again."""
    from sqlalchemy.engine import make_url

    name = make_url(uri).database if urlsplit(uri).scheme == "sqlite" else None
    if name and set(NOT_FOUND) & set(str(Path(name).resolve())):
        raise PocketfaceError(
            f"{Path(name).resolve()}: MLflow loads no model from a path with one of {NOT_FOUND}; rename the "
            f"folder, or name a store elsewhere, {URI_VARIABLE}=sqlite:////PATH/{DATABASE}"
        )
    return Path(name).resolve() if name else None


def _create_database(path: Path) -> None:
    """Makes a new SQLite database beside its place and moves it there: MLflow cannot use half of one."""
    from mlflow import MlflowClient

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.new-") as folder:
        new = Path(folder) / path.name
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
        if not path.exists():
            new.replace(path)


def _settle(database: Path) -> None:
    """Makes a SQLite store that was moved or copied look for its artifacts, and write them, beside it.

    All in one transaction. Locations that the user chose elsewhere are left alone. A store that holds models
    whose artifacts did not come along is a `PocketfaceError`.
    """
    from sqlalchemy import NullPool, create_engine, text

    here, engine = database.parent, create_engine(f"sqlite:///{database}", poolclass=NullPool)
    with engine.begin() as connection:
        ours = text("SELECT DISTINCT artifact_location FROM experiments WHERE name LIKE :name")
        recorded = connection.execute(ours, {"name": f"{EXPERIMENT_PREFIX}%"}).scalars().all()
        for parts in map(urlsplit, recorded):
            folder = Path(unquote(parts.path))
            before = folder.parent
            if parts.scheme != "file" or folder.name != ARTIFACTS or before == here:
                continue
            models = text("SELECT 1 FROM logged_models WHERE instr(artifact_location, :below) = 1 LIMIT 1")
            left = connection.execute(models, {"below": f"{folder.as_uri()}/"}).first()
            if left and not (here / ARTIFACTS).is_dir():
                raise PocketfaceError(
                    f"{database}: it was in {before} before, and {here / ARTIFACTS} is missing: bring "
                    f"{folder} here, or move {database.name} away: `pocketface track` begins anew"
                )
            moves = [(before / name, here / name) for name in FOLDERS]
            spelled = [*moves, *((old.as_uri(), new.as_uri()) for old, new in moves)]  # MLflow has both
            for old, new in spelled:
                for table, column in LOCATIONS:
                    update = f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "
                    where = f"WHERE instr({column} || '/', :old || '/') = 1"
                    connection.execute(text(update + where), {"old": str(old), "new": str(new)})
            told = f"{database}: it was in {before} before; its artifacts are now those in {here / ARTIFACTS}"
            print(told, file=sys.stderr)
