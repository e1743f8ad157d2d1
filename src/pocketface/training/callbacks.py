"""What happens between the steps of a training."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import rounded
from pocketface.training.batches import Batches
from pocketface.training.checkpoints import Checkpoint, Checkpoints
from pocketface.training.losses import watchable
from pocketface.training.schedules import after_plateaus, epochs_since_best
from pocketface.training.settings import Plateau, Training

WATCH = "watch_"
"""Before the names of the metrics on the faces that steer the training."""

Curves = Callable[[int, dict[str, float]], None]
"""Takes the number, from 0, and the metrics of an epoch that has just finished."""


def tensorboard(folder: Path) -> Curves:
    """Writes event files, which TensorBoard reads: `uv run --with tensorboard tensorboard --logdir runs`."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    scalar = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=1)

    def log(epoch: int, metrics: dict[str, float]) -> None:
        with writer.as_default():
            for name, value in metrics.items():
                tf.summary.write(name, tf.constant(value), epoch, metadata=scalar)
        writer.flush()

    return log


def stop_at_nan(name: str) -> keras.callbacks.Callback:
    """Ends a training whose loss is no longer a number, and says what to change."""

    def look(batch: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise PocketfaceError(
                f"models.{name}: the loss became {logs['loss']} at batch {batch}; "
                f"lower its training.learning_rate in params.yaml"
            )

    return keras.callbacks.LambdaCallback(on_train_batch_end=look)


class Steer(keras.callbacks.Callback):
    """Measures the watched faces; lowers the learning rate, ends the training, keeps the best weights.

    Keras' own (`ReduceLROnPlateau`, `EarlyStopping`) forget where they were; this decides by the curves so
    far, so a resumed training decides the same.
    """

    def __init__(self, recipe: Training, outputs: list[str], batches: Batches, start: Checkpoint):
        super().__init__()
        assert recipe.watch is not None
        self._recipe, self._patience, self._batches = recipe, recipe.watch.patience, batches
        self._metric, self._sign = watchable(outputs, recipe.watch.metric)
        head = recipe.watch.metric.rpartition("_")[0]
        if head and not batches.labelled(head):
            raise PocketfaceError(
                f"training.watch.metric: no watched face has the label {head!r} of {recipe.watch.metric}; "
                "watch `loss`"
            )
        self._costs = [self._sign * value for value in start.history.get(WATCH + self._metric, [])]
        self.best: list[np.ndarray] | None = start.best

    @property
    def finished(self) -> bool:
        """Whether there was no better epoch for too long."""
        return bool(self._patience and self._costs and epochs_since_best(self._costs) >= self._patience)

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the learning rate of a plateau schedule."""
        if isinstance(self._recipe.schedule, Plateau):
            factor = after_plateaus(self._recipe.schedule, self._costs)
            self.model.optimizer.learning_rate = factor * self._recipe.learning_rate

    def on_epoch_end(self, epoch, logs=None):
        """Measures the watched faces, and adds what it finds to the curves."""
        measured = self.model.evaluate(self._batches, verbose=0, return_dict=True)
        logs |= {WATCH + name: float(value) for name, value in measured.items()}
        self._costs.append(self._sign * float(measured[self._metric]))
        if self._patience and epochs_since_best(self._costs) == 0:
            self.best = self.model.get_weights()
        self.model.stop_training = self.finished


class Keep(keras.callbacks.Callback):
    """Collects the curves after every epoch, writes a checkpoint, and hands the curves on."""

    def __init__(
        self,
        start: Checkpoint,
        batches: Batches,
        checkpoints: Checkpoints | None,
        steer: Steer | None,
        curves: Sequence[Curves],
    ):
        super().__init__()
        self.history = {name: list(values) for name, values in start.history.items()}
        self._start, self._batches, self._checkpoints = start, batches, checkpoints
        self._steer, self._curves = steer, curves

    def on_epoch_begin(self, epoch, logs=None):
        """Puts the order of the faces back where it was."""
        if epoch == self._start.epochs and self._start.random:
            # Keras shuffles the batches with Python's own generator; what is in them, the epoch decides.
            random.setstate(self._start.random)
            self._batches.epoch += epoch

    def on_epoch_end(self, epoch, logs=None):
        """Collects, writes and hands on."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        for name, value in metrics.items():
            self.history.setdefault(name, []).append(value)
        if self._checkpoints:
            best = self._steer.best if self._steer else None
            self._checkpoints.write(self.model, Checkpoint(epoch + 1, self.history, random.getstate(), best))
        for log in self._curves:
            log(epoch, rounded(metrics))
