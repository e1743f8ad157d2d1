"""An MLflow database and the outs of a small study."""

import shutil

import pytest

from fake_outs import Outs, write_outs
from pocketface.tracking import publish, run_data, store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A new MLflow database, which takes seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    store._create_database(path)
    return path


@pytest.fixture
def whole_outs(tmp_path, empty_database, monkeypatch) -> Outs:
    """The outs of a small study beside an empty store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return write_outs(tmp_path)


@pytest.fixture
def outs(whole_outs, monkeypatch) -> Outs:
    """The same, published without tables or confusion matrices, with empty models: a tenth of the time."""

    def log_model(store, run, variant):
        return store.client.create_logged_model(store.experiment, variant.level, run).model_id

    monkeypatch.setattr(publish, "log_model", log_model)
    monkeypatch.setattr(run_data, "result_tables", lambda variant: {})
    monkeypatch.setattr(run_data, "confusions", lambda study, variant, root: ())
    return whole_outs
