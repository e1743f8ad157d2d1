"""The input pipeline: batches of faces from packed, memory-mapped crops, made beside the training step.

What a batch holds depends on `(seed, epoch, batch)` alone, so a training is repeatable.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import keras
import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.faces.view import STILL, Jitter, view
from pocketface.training.augment import blur, jitter, mixup, recolour
from pocketface.training.settings import Model
from pocketface.training.targets import balance, targets

KEPT_BYTES = 2**28
"""Of faces seen without a random change, which are the same in every epoch."""
FOURFOLD = 4
"""As it is, mirrored, blurred, both."""


class Batches(keras.utils.PyDataset):
    """Batches `(image, y, weight)` for `keras.Model.fit`; `epoch` of them are finished.

    Args:
        sets: the packed crops of one or more datasets.
        rows: the N faces to use, see `splits.together`.
        model: what it sees, and its recipe. The last batch of an epoch may be smaller.
        outputs: those that have a target.
        seed: of the order and the random changes; without one there are none of them, and no balance.

    Raises:
        PocketfaceError: there are fewer faces than one batch needs, or a label is missing altogether.
    """

    def __init__(
        self,
        sets: Sequence[FaceSet],
        rows: pd.DataFrame,
        model: Model,
        outputs: list[str],
        seed: int | None = None,
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        names, recipe = [faces.dataset for faces in sets], model.recipe
        if len(rows) < recipe.batch_size and seed is not None:
            raise PocketfaceError(
                f"dataset {', '.join(names)} has {len(rows)} train faces, fewer than one batch of "
                f"{recipe.batch_size}; lower training.batch_size or raise the dataset's sample in params.yaml"
            )
        self._sets, self._input = sets, model.input
        self._batch_size, self._seed = recipe.batch_size, seed or 0
        self._augment = None if seed is None else recipe.augment
        self._set = rows["dataset"].map(names.index).to_numpy(np.int64)
        self._face = rows["face"].to_numpy(np.int64)
        self._y, self._weight = targets(rows, outputs, ", ".join(names))
        for head in [] if seed is None else recipe.balanced:
            self._weight[head] = balance(self._y[head], self._weight[head], head)
        self._count = len(rows) * (FOURFOLD if self._augment and self._augment.fourfold else 1)
        self.epoch = 0
        self._still: dict[int, np.ndarray] = {}
        self._keeps = len(rows) * self._input.size**2 * self._input.channels <= KEPT_BYTES

    def teach(self, answers: Mapping[str, np.ndarray], share: float) -> None:
        """Makes `share` of the targets (0..1) what teachers answer, head -> `[N, classes]` in the order of
        `rows`; all of it where a label is missing.
        """
        for head, answer in answers.items():
            unknown = self._weight[head] == 0
            theirs = np.where(unknown, 1, share)[:, None]
            self._y[head] = ((1 - theirs) * self._y[head] + theirs * answer).astype(np.float32)
            self._weight[head] = np.where(unknown, 1, self._weight[head]).astype(np.float32)

    def labelled(self, head: str) -> bool:
        """Whether any of the faces has a label of this head."""
        return bool(self._weight[head].any())

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)

    def on_epoch_end(self) -> None:
        """Keras calls this after every epoch."""
        self.epoch += 1

    def __getitem__(self, batch: int) -> tuple[np.ndarray, dict, dict]:
        """Batch number `batch`: float32 `[B, size, size, channels]` in 0..255, targets, weights."""
        order = _order(self._count, None if self._augment is None else (self._seed, self.epoch))
        chosen = order[batch * self._batch_size : (batch + 1) * self._batch_size]
        random = np.random.default_rng([self._seed, self.epoch, batch])
        image = np.stack([self._see(i, random) for i in chosen]).astype(np.float32)
        face = chosen % len(self._face)
        y, weight = (
            {head: values[face] for head, values in part.items()} for part in (self._y, self._weight)
        )
        if self._augment and self._augment.mixup:
            return mixup(image, y, weight, self._augment.mixup, random)
        return image, y, weight

    def _see(self, picture: int, random: np.random.Generator) -> np.ndarray:
        """A picture of the epoch: of a fourfold set, number `kind * N + face`."""
        kind, face = divmod(int(picture), len(self._face))
        if self._augment is None:
            return self._view(face, STILL)
        seen = self._view(face, jitter(self._augment, random))
        seen = np.ascontiguousarray(seen[:, ::-1]) if kind % 2 else seen
        return recolour(blur(seen) if kind >= 2 else seen, self._augment, random)

    def _view(self, face: int, change: Jitter) -> np.ndarray:
        if change != STILL or face not in self._still:
            source = self._sets[self._set[face]]
            seen = view(source.pixels[self._face[face]], source.crop, self._input, change)
            if change != STILL or not self._keeps:
                return seen
            self._still[face] = seen
        return self._still[face]


@lru_cache(maxsize=2)  # of training and validation: every batch asks
def _order(count: int, seed: tuple[int, int] | None) -> np.ndarray:
    """The pictures of an epoch: 0 to `count`, shuffled if there is a seed."""
    order = np.arange(count)
    return order if seed is None else np.random.default_rng(seed).permutation(order)
