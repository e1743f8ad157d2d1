"""The published weights that a training starts from, and the terms of all that it learns from."""

from pathlib import Path

from pocketface import published
from pocketface.core import outs
from pocketface.fetching.obtain import obtain_weights
from pocketface.fetching.sources import Source, Sources
from pocketface.models import PRETRAINED
from pocketface.training.settings import Plan

FILE = ".h5"


def with_pretrained(study: Plan, model: str, sources: Sources, folder: Path = outs.ARCHIVES) -> Plan:
    """The study, with the file in place of the name of the weights that a model starts from; it is fetched,
    unless the repository holds it.

    The model's option `weights` is a name under `weights:` in data/sources.yaml, or already a file.

    Raises:
        PocketfaceError: no such name; or its file could not be had, or is the wrong one.
    """
    stanza = study.models[model]
    named = stanza.options.get(PRETRAINED)
    if named is None or str(named).endswith(FILE):
        return study
    path = obtain_weights(sources.weight(str(named)), folder)
    started = stanza.model_copy(update={"options": stanza.options | {PRETRAINED: path.as_posix()}})
    return study.model_copy(update={"models": study.models | {model: started}})


def _origins(study: Plan, model: str, sources: Sources) -> dict[str, Source]:
    """Name -> all that a model learns from: its datasets, and the published weights that it starts from."""
    found = {dataset: sources.dataset(dataset) for dataset in study.trained_on(model)}
    named = str(study.models[model].options.get(PRETRAINED, FILE))
    return found if named.endswith(FILE) else found | {named: sources.weight(named)}


def terms(study: Plan, model: str, sources: Sources) -> str:
    """The terms of all that a model learns from, by way of published models, too; each once."""
    theirs = [card.licence for card in _learned_from(study, model)]
    known = [source.licence for source in _origins(study, model, sources).values()]
    return "; ".join(dict.fromkeys([*known, *theirs]))


def attributions(study: Plan, model: str, sources: Sources) -> dict[str, str]:
    """Name -> title, home and terms of all that a model learns from, by way of published models, too."""
    theirs = [card.sources for card in _learned_from(study, model)]
    known = {
        name: f"{source.title}, {source.home or 'no home page'}: {source.licence}"
        for name, source in _origins(study, model, sources).items()
    }
    return {name: credit for found in [*theirs, known] for name, credit in found.items()}


def _learned_from(study: Plan, model: str) -> list[published.PublishedCard]:
    return [published.read(Path(folder)) for folder in study.models[model].recipe.published]
