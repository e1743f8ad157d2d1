"""The published weights that a training starts from.

Weights of TensorFlow.js become a file of Keras beside them, see `importing.tfjs`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from pocketface import published
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import alone, written_whole
from pocketface.fetching.obtain import obtain
from pocketface.fetching.sources import Source, Sources
from pocketface.importing import tfjs
from pocketface.importing.layers import Learned, assign
from pocketface.layers.backbones import BACKBONES
from pocketface.models import PRETRAINED
from pocketface.training.normalisation import passing
from pocketface.training.settings import Model, Plan

FILE = ".h5"
GRAPH = ".json"


def with_pretrained(study: Plan, model: str, sources: Sources, folder: Path = outs.ARCHIVES) -> Plan:
    """The study, with the file in place of the name of the weights that a model starts from; it is fetched.
    The model's option `weights` is a name under `weights:` in data/sources.yaml, or already a file.

    Raises:
        PocketfaceError: no such name; or its file could not be had, or is the wrong one.
    """
    stanza = study.models[model]
    named = stanza.options.get(PRETRAINED)
    if named is None or str(named).endswith(FILE):
        return study
    path, *content = [archive.parts[0] for archive in obtain(sources.weight(str(named)), folder)]
    if path.suffix == GRAPH:
        path = _of_backbone(path, *content, stanza=stanza)
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


def _of_backbone(graph: Path, content: Path, *, stanza: Model) -> Path:
    """Writes what a graph of TensorFlow.js has learned as weights of the model's backbone."""
    kind, alpha = str(stanza.options.get("backbone")), float(stanza.options.get("alpha", 1.0))
    if kind not in BACKBONES:
        raise PocketfaceError(f"{graph}: weights of a backbone, one of {', '.join(BACKBONES)}, not of {kind}")
    side = stanza.input.size
    network = BACKBONES[kind].build(keras.Input((side, side, 3)), alpha)
    try:
        assign(network, list(_unfolded(tfjs.read_layers(graph, content), network)))
    except PocketfaceError as error:
        raise PocketfaceError(f"{graph}: not the weights of {kind} {alpha} ({error})") from None
    path = graph.with_suffix(f".{kind}.weights.h5")
    with alone(path), written_whole(path) as partial:
        written = partial.with_name(f"{partial.name}.weights.h5")  # the only ending that Keras writes
        network.save_weights(written)
        written.replace(partial)
    return path


def _unfolded(layers: Sequence[Learned], network: keras.Model) -> Iterator[Learned]:
    """A file's layers as the network's: in place of a bias, a normalisation that adds it; without the top."""
    own = [layer for layer in network.layers if layer.weights]
    learned, offset = iter(layers), np.zeros(0, np.float32)
    for layer in own:
        if isinstance(layer, keras.layers.BatchNormalization):
            yield Learned(layer.name, passing(offset, layer.epsilon))
        else:
            folded = next(learned, None)
            if folded is None:
                return
            offset = np.asarray(folded.weights["bias"], np.float32)
            yield Learned(folded.name, {"kernel": folded.weights["kernel"]})
