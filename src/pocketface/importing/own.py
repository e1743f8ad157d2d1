"""Somebody's own network, from its file to what training leaves: a card and weights.

What Keras can build again is kept as `architecture.json` and `model.weights.h5`. What it cannot (a
SavedModel, a `.tflite`) is kept as the float32 `model.tflite`, from which those levels are made that need no
model of Keras.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from pocketface.cards import MODEL_FILE, ModelCard, write_card
from pocketface.core.errors import PocketfaceError, located
from pocketface.core.files import written_whole
from pocketface.faces import seen
from pocketface.faces.settings import Crop
from pocketface.importing import network
from pocketface.importing.network import Network
from pocketface.layers.macs import counted
from pocketface.layers.own import around
from pocketface.models import CONFIG, OWN
from pocketface.tflite import around as operators
from pocketface.training.fit import WEIGHTS
from pocketface.training.settings import Model


def bring(name: str, stanza: Model, crop: Crop, out: Path) -> ModelCard:
    """Reads the file of a stanza and writes a model's folder; a file that is not there is `unavailable`.

    Raises:
        PocketfaceError: the file has changed, is refused, see `network.read`, or is not what the stanza says.
    """
    path = Path(str(stanza.file))
    if not path.exists():
        print(f"{name}: unavailable, {path} is not there", file=sys.stderr)
        reason = f"no file {path}: put it there and `dvc repro -f fetch_weights@{name}`"
        with written_whole(out, folder=True) as partial:
            card = _card(name, stanza, crop, {"status": "unavailable", "reason": reason})
            write_card(partial, card)
        return card
    found = network.fingerprint(path)
    if stanza.sha256 is None:
        raise PocketfaceError(
            f"fetched.{name}: add `sha256: {found}`, the hash of {path}, so that a change of it is noticed"
        )
    if stanza.sha256 != found:
        raise PocketfaceError(
            f"{path}: has changed: its SHA-256 is {found}; if that is meant, put it into fetched.{name}"
        )
    return place(name, network.read(path, stanza.input.size), stanza, crop, out)


def place(name: str, read: Network, stanza: Model, crop: Crop, out: Path) -> ModelCard:
    """Writes a model's folder: `card.json`, `seen.npy`, and the network with what its stanza puts around it.

    Raises:
        PocketfaceError: the network is not what the stanza says.
    """
    height, width, channels = read.shape
    if channels != stanza.input.channels or {height, width} - {None, stanza.input.size}:
        raise PocketfaceError(
            f"{read.path}: sees {height or 'any'}x{width or 'any'}x{channels}, the stanza says "
            f"input.size {stanza.input.size} and channels {stanza.input.channels}"
        )
    nchw = read.channels_first if stanza.preprocess.layout is None else stanza.preprocess.layout == "nchw"
    with written_whole(out, folder=True) as partial:
        with located(read.path):
            facts = _write(read, stanza, nchw, partial)
        card = _card(name, stanza, crop, facts)
        seen.save(seen.fingerprints([]), partial)
        write_card(partial, card)
    return card


def _write(read: Network, stanza: Model, nchw: bool, folder: Path) -> dict[str, Any]:
    keras.utils.clear_session(free_memory=False)
    if read.file is not None:
        file = operators.around(read.file, stanza.input, stanza.preprocess, stanza.own_heads, nchw)
        (folder / MODEL_FILE).write_bytes(file.content)
        weights = file.weight_dtypes.get("FLOAT32", 0)
        return {"parameters": weights, "trainable_parameters": weights, "macs": file.macs}
    assert read.call is not None
    model = around(read.call, stanza.input, stanza.preprocess, stanza.own_heads, nchw)
    config = json.dumps(json.loads(model.to_json()), sort_keys=True)
    (folder / CONFIG).write_text(config, encoding="utf-8")
    model.save_weights(folder / WEIGHTS)
    return counted(model)


def _card(name: str, stanza: Model, crop: Crop, facts: Mapping[str, Any]) -> ModelCard:
    return ModelCard.model_validate(
        {
            "model": name,
            "architecture": OWN,
            "dataset": "not told (its owner's)",
            "licence": stanza.licence,
            "crop": crop,
            "input": stanza.input,
            "outputs": {head: own.meaning(head) for head, own in stanza.own_heads.items()},
            "training": {"file": Path(str(stanza.file)).name, "sha256": stanza.sha256},
            "parameters": 0,
            "trainable_parameters": 0,
            "macs": 0,
        }
        | dict(facts)
    )
