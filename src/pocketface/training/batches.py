"""The input pipeline: batches of faces from a packed, memory-mapped crop file.

Nothing is decoded. A batch is a gather, one warp a face (window, flip, shift, zoom and turn in a single
resampling) and a table look-up for the light; on two cores that is a few per cent of a training step, and
it runs in a thread beside it. What a batch holds depends on `(seed, epoch, batch)` alone, so a training is
repeatable whatever the threads do.
"""

import keras
import numpy as np
import pandas as pd

from pocketface.errors import PocketfaceError
from pocketface.faces.index import FaceSet
from pocketface.faces.view import view
from pocketface.study import Augment, Input
from pocketface.training.augment import jitter, relight
from pocketface.training.targets import targets


class Batches(keras.utils.PyDataset):
    """Batches `(image, y, weight)` for `keras.Model.fit`.

    Args:
        faces: the packed crops.
        rows: the N rows of its index to use.
        input: what the model sees.
        heads: what it answers.
        batch_size: faces a batch; the last one of an epoch may be smaller.
        augment: random changes; `None` for evaluation, which also keeps the order of `rows`.
        seed: of the order and the changes.

    Raises:
        PocketfaceError: there are fewer faces than one batch needs, or a label is missing altogether.
    """

    def __init__(
        self,
        faces: FaceSet,
        rows: pd.DataFrame,
        input: Input,
        heads: list[str],
        batch_size: int,
        augment: Augment | None = None,
        seed: int = 0,
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        if len(rows) < batch_size and augment is not None:
            raise PocketfaceError(
                f"dataset {faces.dataset} has {len(rows)} train faces, fewer than one batch of {batch_size}; "
                f"lower training.batch_size or raise the dataset's sample in params.yaml"
            )
        self._faces, self._input, self._augment = faces, input, augment
        self._face = rows["face"].to_numpy(np.int64)
        self._y, self._weight = targets(rows, heads, faces.dataset)
        self._batch_size, self._seed = batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self._face) // self._batch_size)

    def on_epoch_end(self) -> None:
        """Keras calls this after every epoch."""
        self.epoch += 1

    def __getitem__(self, batch: int) -> tuple[np.ndarray, dict, dict]:
        """Batch number `batch`: float32 `[B, size, size, channels]` in 0..255, targets, weights."""
        chosen = self._order()[batch * self._batch_size : (batch + 1) * self._batch_size]
        random = np.random.default_rng([self._seed, self.epoch, batch])
        image = np.stack([self._see(self._face[i], random) for i in chosen]).astype(np.float32)
        y = {head: values[chosen] for head, values in self._y.items()}
        weight = {head: values[chosen] for head, values in self._weight.items()}
        return image, y, weight

    def _order(self) -> np.ndarray:
        if self._augment is None:
            return np.arange(len(self._face))
        return np.random.default_rng([self._seed, self.epoch]).permutation(len(self._face))

    def _see(self, face: int, random: np.random.Generator) -> np.ndarray:
        pixels = self._faces.pixels[face]
        if self._augment is None:
            return view(pixels, self._faces.crop, self._input)
        seen = view(pixels, self._faces.crop, self._input, jitter(self._augment, random))
        return relight(seen, self._augment, random)
