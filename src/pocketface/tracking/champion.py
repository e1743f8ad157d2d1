"""The registry: a registered model per task, whose alias `champion` points at the variant to take.
The rule is that of `pocketface.choosing`, within the limits under `champion` of the params.
"""

import json

from pocketface.choosing.answer import lines
from pocketface.choosing.rule import Choice
from pocketface.study import Study
from pocketface.tracking.store import Store

ALIAS = "champion"
VERSIONS = "mlflow.modelVersions"
"""A model's tag by which MLflow shows it as registered."""


def crown(store: Store, study: Study, choice: Choice, run: str | None, model_id: str | None) -> None:
    """Makes the registry say what was chosen, with the reason; writes nothing that it says already. Without a
    run and model of the chosen variant it takes the alias away.
    """
    from mlflow.exceptions import MlflowException

    client, name, told = store.client, f"pocketface-{study.study}-{choice.task}", lines(choice)
    within = f" Within {study.champion}." if str(study.champion) else ""
    note = f"Champion of study {study.study}. {'; '.join(map(str.strip, told))}.{within}"
    try:
        registered = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        if run is None:
            return
        registered = client.create_registered_model(name, {"study": study.study, "task": choice.task}, note)
    if registered.description != note:
        client.update_registered_model(name, note)
    current = registered.aliases.get(ALIAS)
    if run is None or model_id is None or choice.take is None:
        if current is not None:
            client.delete_registered_model_alias(name, ALIAS)
        return
    known = client.search_model_versions(f"name = '{name}'")
    version = next((version for version in known if version.run_id == run), None)
    if version is None:
        tags, source = {"model": choice.take.model, "level": choice.take.level}, f"models:/{model_id}"
        version = client.create_model_version(name, source, run, tags, description=told[0], model_id=model_id)
    shown, entry = client.get_logged_model(model_id).tags, {"name": name, "version": str(version.version)}
    if entry not in (entries := json.loads(shown.get(VERSIONS, "[]"))):
        client.set_logged_model_tags(model_id, {VERSIONS: json.dumps([*entries, entry])})
    if str(current) != str(version.version):
        client.set_registered_model_alias(name, ALIAS, str(version.version))
