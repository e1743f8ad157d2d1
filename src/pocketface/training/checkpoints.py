"""Checkpoints: where a training stands after an epoch, so that a killed one goes on to the same bytes.

One folder an epoch, written whole: `state.json`, and `variables.npz` with all variables of model and
optimizer, the states of random layers too, which a weights file of Keras leaves out.
"""

import json
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import remove, written_whole

STATE, VARIABLES = "state.json", "variables.npz"
BEST = "best "
"""Before the numbers of the best epoch's weights among the variables."""
KEPT = 3


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands.

    Attributes:
        epochs: how many are finished.
        history: metric -> its value after each of them.
        random: the state of Python's generator, which shuffles the batches.
        best: the weights of the best epoch, where they are to be kept.
        folder: where it was read from.
    """

    epochs: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    random: tuple[Any, ...] | None = None
    best: list[np.ndarray] | None = None
    folder: Path | None = None

    def restore(self, model: keras.Model) -> None:
        """Sets the variables of a model and its optimizer, which are made; those of another one are a
        `PocketfaceError`.
        """
        if self.folder is None:
            return
        variables = _variables(model)
        with np.load(self.folder / VARIABLES, allow_pickle=False) as arrays:
            shapes = {name: arrays[name].shape for name in arrays.files if not name.startswith(BEST)}
            if shapes != {name: tuple(variable.shape) for name, variable in variables.items()}:
                raise PocketfaceError(
                    f"{self.folder}: not a checkpoint of this {model.name}; --fresh starts over"
                )
            for name, variable in variables.items():
                variable.assign(arrays[name])


START = Checkpoint()


class Checkpoints:
    """The checkpoints of one training, in a `folder` of their own; `identity`: what decides its result."""

    def __init__(self, folder: Path, identity: Mapping[str, object]):
        self.folder, self._identity = folder, json.loads(json.dumps(identity))

    def start(self, how: Literal["auto", "resume", "fresh"]) -> None:
        """Prepares for a training: `fresh` removes what there is, `auto` what is of another training; without
        a checkpoint, `resume` is a `PocketfaceError`.
        """
        try:
            found = None if how == "fresh" else self.latest()
        except PocketfaceError as error:
            if how == "resume":
                raise
            print(f"starting over: {error}", file=sys.stderr)
            found = None
        if found:
            print(f"{found.folder}: resuming after {found.epochs} epochs", file=sys.stderr)
        elif how == "resume":
            raise PocketfaceError(f"{self.folder}: no checkpoint to resume; train without --resume")
        else:
            self.clear()

    def latest(self) -> Checkpoint | None:
        """The last one, or None; one that is damaged or of another training is a `PocketfaceError`."""
        folders = self._folders()
        if not folders:
            return None
        folder = folders[-1]
        try:
            state = json.loads((folder / STATE).read_text(encoding="utf-8"))
            version, numbers, gauss = state["random"]
            with np.load(folder / VARIABLES, allow_pickle=False) as arrays:
                best = [arrays[name] for name in arrays.files if name.startswith(BEST)] or None
            random = version, tuple(numbers), gauss
            found = Checkpoint(state["epochs"], state["history"], random, best, folder)
            was = state["identity"]
        except (OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
            raise PocketfaceError(f"{folder}: a damaged checkpoint ({error}); remove it") from None
        different = [
            f"{name} was {was.get(name)}, is {self._identity.get(name)}"
            for name in sorted(was | self._identity)
            if was.get(name) != self._identity.get(name)
        ]
        if different:
            raise PocketfaceError(
                f"{folder}: the checkpoint of another training ({'; '.join(different)}); --fresh starts over"
            )
        return found

    def write(self, model: keras.Model, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint of a compiled model and removes those that are too old."""
        state = {name: getattr(checkpoint, name) for name in ("epochs", "history", "random")}
        with written_whole(self.folder / f"{checkpoint.epochs:04}", folder=True) as partial:
            values = {name: keras.ops.convert_to_numpy(v) for name, v in _variables(model).items()}
            best = {f"{BEST}{i:04}": array for i, array in enumerate(checkpoint.best or [])}
            np.savez(partial / VARIABLES, allow_pickle=False, **values, **best)
            (partial / STATE).write_text(json.dumps(state | {"identity": self._identity}), encoding="utf-8")
        for folder in self._folders()[:-KEPT]:
            remove(folder)

    def clear(self) -> None:
        """Removes them all."""
        remove(self.folder)

    def _folders(self) -> list[Path]:
        folders = (path.parent for path in self.folder.glob(f"[0-9]*/{STATE}"))
        return sorted(folders, key=lambda folder: int(folder.name))


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    found = [*model.variables, *model.optimizer.variables]
    return {f"{i:04} {variable.path}": variable for i, variable in enumerate(found)}
