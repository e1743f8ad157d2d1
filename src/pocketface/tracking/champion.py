"""The registry: a registered model per task, whose alias `champion` points at the variant to take.

    for task in tasks(study):
        crown(store, study, task, choose(study, task, variants), run_ids)

The rule: of the study's variants that answer the task, run, and keep within `champion.max_size_mb` and
`champion.max_latency_ms` of the params, the one with the best figure; of equal ones the smallest file. The
figure is the task's main one on its model's own dataset (age: MAE; classes: accuracy). A variant whose
latency was not measured is no candidate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketface.reporting.quantities import label_of, quantity_of, shown
from pocketface.reporting.results import Variant
from pocketface.study import Study, main_metric
from pocketface.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"


@dataclass(frozen=True)
class Choice:
    """The champion of one task.

    Attributes:
        figure: `DATASET.METRIC`, what the candidates were compared by.
        variant: None where no candidate keeps within the limits.
    """

    task: str
    figure: str
    variant: Variant | None

    def __str__(self) -> str:
        if self.variant is None:
            return f"{self.task}: no variant keeps within the limits"
        return f"{self.task}: {self.variant.model}/{self.variant.level}, {self.facts}"

    @property
    def facts(self) -> str:
        """What speaks for the variant."""
        variant = self.variant
        if variant is None or variant.card.size_bytes is None or variant.latency_ms is None:
            return ""
        value = shown(self.figure, variant.figures[self.figure])
        size = variant.card.size_bytes / 1e6
        return f"{label_of(self.figure)} {value}, {size:.3g} MB, {variant.latency_ms:.3g} ms"


def tasks(study: Study) -> list[str]:
    """The heads of all models, each once."""
    return list(dict.fromkeys(head for model in study.models.values() for head in model.heads))


def choose(study: Study, task: str, variants: Sequence[Variant]) -> Choice | None:
    """Applies the rule; None where nothing that runs answers the task.

    Models with different datasets are compared on that of the first.
    """
    answering = [variant for variant in variants if task in variant.card.outputs and not variant.reason]
    metric = main_metric(task)
    own = (f"{dataset}.{metric}" for variant in answering for dataset in study.trained_on(variant.model))
    measured = {figure for variant in answering for figure in variant.figures}
    figure = next((name for name in own if name in measured), None)
    if figure is None:
        return None
    sign = -1 if quantity_of(figure).better == "higher" else 1
    candidates = [v for v in answering if figure in v.figures and _within_limits(study, v)]
    best = min(
        candidates,
        key=lambda v: (sign * v.figures[figure], v.card.size_bytes, v.model, v.level),
        default=None,
    )
    return Choice(task, figure, best)


def _within_limits(study: Study, variant: Variant) -> bool:
    size, latency, limits = variant.card.size_bytes, variant.latency_ms, study.champion
    return (
        size is not None
        and size <= limits.max_size_mb * 1e6
        and latency is not None
        and latency <= limits.max_latency_ms
    )


def registered_name(study: Study, task: str) -> str:
    """What a task's registered model is called."""
    return f"pocketface-{study.study}-{task}"


def rule(study: Study, choice: Choice) -> str:
    """The rule in words, for the registered model's description."""
    limits = study.champion
    best = "highest" if quantity_of(choice.figure).better == "higher" else "lowest"
    return (
        f"Champion of study {study.study}: the {best} {choice.figure} of a file of at most "
        f"{limits.max_size_mb:g} MB and {limits.max_latency_ms:g} ms a face (median, one thread); of equal "
        "ones the smallest. Chosen by `pocketface track`."
    )


def crown(store: Store, study: Study, choice: Choice, run: str | None, model_id: str | None) -> None:
    """Makes the registry say what was chosen; writes nothing that it says already.

    Args:
        run, model_id: of the chosen variant; None where there is none, which takes the alias away.
    """
    from mlflow.exceptions import MlflowException

    client, name, words = store.client, registered_name(study, choice.task), rule(study, choice)
    try:
        registered = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        if run is None:
            return
        tags = {"study": study.study, "task": choice.task}
        registered = client.create_registered_model(name, tags, words)
    if registered.description != words:
        client.update_registered_model(name, words)
    current = registered.aliases.get(ALIAS)
    if run is None or choice.variant is None:
        if current is not None:
            client.delete_registered_model_alias(name, ALIAS)
        return
    version = _version_of(store, name, run)
    if version is None:
        tags = {"model": choice.variant.model, "level": choice.variant.level, "figure": choice.figure}
        version = client.create_model_version(
            name, f"models:/{model_id}", run, tags, description=str(choice), model_id=model_id
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
