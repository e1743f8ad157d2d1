"""The input pipeline: batches of faces from a packed, memory-mapped crop file.

A batch is a gather, one warp a face and a table look-up for the light, in a thread beside the training step.
What it holds depends on `(seed, epoch, batch)` alone, so a training is repeatable.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import pandas as pd

from pocketface.core.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.faces.settings import Input
from pocketface.faces.view import STILL, Jitter, view
from pocketface.training.augment import blur, jitter, mixup, recolour
from pocketface.training.settings import Augment
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
        input: what the model sees.
        heads: what it answers, and what it learns from in training only.
        batch_size: faces a batch; the last one of an epoch may be smaller.
        augment: random changes; `None` for evaluation, which also keeps the order of `rows`.
        seed: of the order and the changes.
        balanced: heads whose classes are to weigh the same.

    Raises:
        PocketfaceError: there are fewer faces than one batch needs, or a label is missing altogether.
    """

    def __init__(
        self,
        sets: Sequence[FaceSet],
        rows: pd.DataFrame,
        input: Input,
        heads: list[str],
        batch_size: int,
        augment: Augment | None = None,
        seed: int = 0,
        balanced: Sequence[str] = (),
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        names = [faces.dataset for faces in sets]
        if len(rows) < batch_size and augment is not None:
            raise PocketfaceError(
                f"dataset {', '.join(names)} has {len(rows)} train faces, fewer than one batch of "
                f"{batch_size}; lower training.batch_size or raise the dataset's sample in params.yaml"
            )
        self._sets, self._input, self._augment = sets, input, augment
        self._set = rows["dataset"].map(names.index).to_numpy(np.int64)
        self._face = rows["face"].to_numpy(np.int64)
        self._y, self._weight = targets(rows, heads, ", ".join(names))
        for head in balanced:
            self._weight[head] = balance(self._y[head], self._weight[head], head)
        self._batch_size, self._seed = batch_size, seed
        self._count = len(rows) * (FOURFOLD if augment and augment.fourfold else 1)
        self.epoch = 0
        self._kept = (-1, np.arange(0))
        self._still: dict[int, np.ndarray] = {}
        self._keeps = len(rows) * input.size**2 * input.channels <= KEPT_BYTES

    def teach(self, answers: Mapping[str, np.ndarray], share: float) -> None:
        """Makes `share` of the targets (0..1) what teachers answer, head -> `[N, classes]` in the order of
        `rows`.

        All of it where a label is missing.
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
        chosen = self._order()[batch * self._batch_size : (batch + 1) * self._batch_size]
        random = np.random.default_rng([self._seed, self.epoch, batch])
        image = np.stack([self._see(i, random) for i in chosen]).astype(np.float32)
        face = chosen % len(self._face)
        y, weight = (
            {head: values[face] for head, values in part.items()} for part in (self._y, self._weight)
        )
        if self._augment and self._augment.mixup:
            return mixup(image, y, weight, self._augment.mixup, random)
        return image, y, weight

    def _order(self) -> np.ndarray:
        """The pictures of this epoch; kept, as every batch asks for them."""
        kept, epoch = self._kept, self.epoch
        if kept[0] != epoch:
            order = np.arange(self._count)
            if self._augment is not None:
                order = np.random.default_rng([self._seed, epoch]).permutation(order)
            self._kept = kept = epoch, order
        return kept[1]

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
