"""The registry: a registered model per task, whose alias `champion` points at the variant to take.

    for task in tasks(study):
        crown(store, study, choose(study, task, variants), run, model_id)

The rule is that of `pocketface.choosing`, within the limits under `champion` of the params.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pocketface.choosing.answer import lines
from pocketface.choosing.rule import Choice
from pocketface.study import Study
from pocketface.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"


def registered_name(study: Study, task: str) -> str:
    """What a task's registered model is called."""
    return f"pocketface-{study.study}-{task}"


def words(study: Study, choice: Choice) -> str:
    """The choice in words, for the registered model's description."""
    within = f" Within {study.champion}." if str(study.champion) else ""
    return f"Champion of study {study.study}. {'. '.join(line.strip() for line in lines(choice))}.{within}"


def crown(store: Store, study: Study, choice: Choice, run: str | None, model_id: str | None) -> None:
    """Makes the registry say what was chosen; writes nothing that it says already.

    Args:
        run, model_id: of the chosen variant; None where there is none, which takes the alias away.
    """
    from mlflow.exceptions import MlflowException

    client, name, told = store.client, registered_name(study, choice.task), words(study, choice)
    try:
        registered = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        if run is None:
            return
        tags = {"study": study.study, "task": choice.task}
        registered = client.create_registered_model(name, tags, told)
    if registered.description != told:
        client.update_registered_model(name, told)
    current = registered.aliases.get(ALIAS)
    if run is None or choice.take is None:
        if current is not None:
            client.delete_registered_model_alias(name, ALIAS)
        return
    version = _version_of(store, name, run)
    if version is None:
        tags = {"model": choice.take.model, "level": choice.take.level}
        version = client.create_model_version(
            name, f"models:/{model_id}", run, tags, description=lines(choice)[0], model_id=model_id
        )
    if str(current) != str(version.version):
        client.set_registered_model_alias(name, ALIAS, str(version.version))


def _version_of(store: Store, name: str, run: str) -> "ModelVersion | None":
    versions = store.client.search_model_versions(f"name = '{name}'")
    return next((version for version in versions if version.run_id == run), None)


def mark(store: Store, champions: Mapping[str, str]) -> None:
    """Gives the champions' runs the tag `champion`, and takes it from all others.

    Args:
        champions: run -> its tasks, `age,gender`.
    """
    for run in store.runs():
        said, wanted = run.data.tags.get(ALIAS), champions.get(run.info.run_id)
        if wanted and said != wanted:
            store.log(run.info.run_id, tags={ALIAS: wanted})
        elif said and not wanted:
            store.client.delete_tag(run.info.run_id, ALIAS)
