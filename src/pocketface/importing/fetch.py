"""The whole way of published weights: obtain, check, import, and say in a card what they are.

What comes of it is what training leaves, so everything downstream treats both alike. Where the file cannot be
had, the card says so and how to place it by hand, and the pipeline goes on: every variant of that model is
then a row that says `unavailable`.
"""

import sys
from pathlib import Path

import keras

from pocketface import models, published
from pocketface.cards import ModelCard, write_card
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, located
from pocketface.core.files import written_whole
from pocketface.core.labels import meaning
from pocketface.faces import seen
from pocketface.fetching.obtain import Unavailable, obtain_weights
from pocketface.fetching.sources import Source, Sources
from pocketface.importing import hdf5, onnx_graph, own
from pocketface.importing.layers import assign
from pocketface.layers.macs import counted
from pocketface.training.fit import WEIGHTS, load
from pocketface.training.settings import Model, Plan


def fetch(study: Plan, name: str, sources: Sources, out: Path, archives: Path = outs.ARCHIVES) -> ModelCard:
    """Fetches the weights of a model under `fetched` of the study, and writes the folder `out`.

    Returns:
        The card, with status `ok` or `unavailable`.

    Raises:
        PocketfaceError: the file is not the one that the sources mean, or not the weights of the stanza's
            architecture.
    """
    stanza, crop = study.models[name], study.datasets[study.trained_on(name)[0]].crop
    if stanza.file is not None:
        return own.bring(name, stanza, crop, out)
    if stanza.weights is None:
        raise PocketfaceError(f"models.{name} is trained, not fetched: `dvc repro train@{name}`")
    known = seen.fingerprints([])
    if stanza.weights.startswith(published.PREFIX):
        known = seen.load(Path(stanza.weights))
        model, about = _of_ours(stanza, Path(stanza.weights))
    else:
        model, about = _of_others(name, stanza, sources.weight(stanza.weights), archives)
    card = ModelCard.model_validate(
        {
            "model": name,
            "architecture": stanza.architecture,
            "options": stanza.options,
            "crop": crop,
            "input": stanza.input,
            "outputs": {head: meaning(head) for head in stanza.heads},
            "training": {"weights": stanza.weights},
        }
        | counted(model)
        | about
    )
    with written_whole(out, folder=True) as partial:
        if card.status == "ok":
            model.save_weights(partial / WEIGHTS)
            seen.save(known, partial)
        write_card(partial, card)
    return card


def read_into(model: keras.Model, path: Path, source: Source) -> None:
    """Puts the weights of a file, HDF5 or ONNX by its ending, into a model.

    Raises:
        PocketfaceError: it is neither, damaged, not to be trusted, or of another network.
    """
    with located(path):
        if path.suffix == ".onnx":
            assign(model, onnx_graph.read_layers(path), source.answers)
        elif path.suffix in (".h5", ".hdf5"):
            with hdf5.open_layers(path) as layers:
                assign(model, layers, source.answers)
        else:
            raise PocketfaceError("neither .h5, .hdf5 nor .onnx")


def _of_others(
    name: str, stanza: Model, source: Source, archives: Path
) -> tuple[keras.Model, dict[str, object]]:
    model = models.build(stanza.architecture, stanza.input, stanza.heads, stanza.options, pretrained=False)
    about: dict[str, object] = {
        "dataset": source.trained_on or f"not told ({source.title})",
        "licence": source.licence,
    }
    try:
        file = obtain_weights(source, archives)
    except Unavailable as error:
        print(f"{name}: unavailable\n{error}", file=sys.stderr)
        place = archives / source.files[0].mirror
        reason = f"weights unavailable: put it at {place} by hand and `dvc repro -f fetch_weights@{name}`"
        return model, {**about, "status": "unavailable", "reason": reason}
    read_into(model, file, source)
    return model, about


def _of_ours(stanza: Model, folder: Path) -> tuple[keras.Model, dict[str, object]]:
    """Of a folder that `pocketface publish` made; what it is stands in its card, its options there alone."""
    card = published.read(folder)
    published_as = (card.architecture, dict(card.options), card.input, list(card.outputs))
    stated = stanza.options or published_as[1]
    if published_as != (stanza.architecture, stated, stanza.input, stanza.heads):
        raise PocketfaceError(
            f"{folder}: published as {card.architecture} with {dict(card.options)}, {card.input} and "
            f"the heads {list(card.outputs)}; the stanza must say the same"
        )
    published.check(folder, card)
    about = {"options": card.options, "dataset": card.dataset, "licence": card.licence, "crop": card.crop}
    return load(card, folder), about
