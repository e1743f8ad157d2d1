"""MLflow and what it needs of SQLAlchemy, imported: for a process whose forks use them, see
`pocketface.running`.
"""

from importlib import import_module

from pocketface.tracking.store import prepare

prepare()
import_module("mlflow.store.tracking.sqlalchemy_store")
