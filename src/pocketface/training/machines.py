"""Training one model on several machines at once, by `tf.distribute`.

Every machine runs the same stage with its own `TF_CONFIG`, see docs/training.md. Each takes its part of every
batch, the gradients are summed over the network, and so all of them hold the same weights at every step.

Keras 3.15's `fit` and `evaluate` fail on the distributed batches of several machines, so this is a plain loop
over Keras' own training step. There are no validation curves: the stage `evaluate` measures afterwards.
"""

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from pocketface.core.errors import PocketfaceError
from pocketface.training.batches import Batches
from pocketface.training.settings import Training

if TYPE_CHECKING:
    import tensorflow as tf

VARIABLE = "TF_CONFIG"


def strategy() -> "tf.distribute.Strategy | None":
    """That of all machines named in `TF_CONFIG`, once they have met; None without it.

    Call it before anything that makes a tensor.

    Raises:
        PocketfaceError: `TF_CONFIG` does not name machines and the place of this one, or the backend is not
            TensorFlow.
    """
    if VARIABLE not in os.environ:
        return None
    if keras.backend.backend() != "tensorflow":
        raise PocketfaceError(
            f"{VARIABLE}: several machines train under TensorFlow only, unset KERAS_BACKEND"
        )
    try:
        config = json.loads(os.environ[VARIABLE])
        config["cluster"]["worker"][config["task"]["index"]]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise PocketfaceError(f"{VARIABLE}: no list of workers with this one in it ({error!r})") from None

    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def check(recipe: Training, machines: int) -> None:
    """Raises a `PocketfaceError` for a recipe that several machines cannot train."""
    if recipe.watch or recipe.average:
        raise PocketfaceError("training.watch and training.average: not on several machines; drop them")
    if recipe.batch_size % machines:
        raise PocketfaceError(
            f"training.batch_size: {recipe.batch_size} does not divide by {machines} machines"
        )


def fit(
    cluster: "tf.distribute.Strategy",
    model: keras.Model,
    batches: Batches,
    first: int,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """What `model.fit` does on one machine, over whole batches.

    Args:
        cluster: the strategy in whose scope the model was built and compiled.
        model: compiled.
        batches: of training.
        first: the epoch to begin with.
        epochs: the epoch to end before.
        callbacks: as for `model.fit`.
    """
    import tensorflow as tf

    example = batches[0]
    with cluster.scope():
        model.optimizer.build(model.trainable_variables)
        # What `fit` does first: metrics are made within the scope.
        model._symbolic_build(data_batch=tf.nest.map_structure(tf.convert_to_tensor, example))

    def part(context: "tf.distribute.InputContext") -> tf.data.Dataset:
        batches.machine, batches.machines = context.input_pipeline_id, context.num_input_pipelines
        signature = tf.nest.map_structure(lambda v: tf.TensorSpec((None, *v.shape[1:]), v.dtype), example)
        steps = tf.data.Dataset.from_generator(
            lambda: (batches[i] for i in range(batches.whole)), output_signature=signature
        )
        return steps.prefetch(2)

    data = cluster.distribute_datasets_from_function(part)

    @tf.function
    def step(batch: Any) -> None:
        cluster.run(model.train_step, args=(batch,))

    @tf.function
    def statistics() -> list[Any]:
        mean = tf.distribute.ReduceOp.MEAN
        return cluster.run(
            lambda: [
                tf.distribute.get_replica_context().all_reduce(mean, tf.identity(variable.value))
                for variable in model.non_trainable_variables
            ]
        )

    told = keras.callbacks.CallbackList(list(callbacks), model=model)
    told.on_train_begin()
    for epoch in range(first, epochs):
        model.reset_metrics()
        told.on_epoch_begin(epoch)
        for batch in data:
            step(batch)
        # Each machine normalises its own part of a batch; what is kept is the mean over all of them.
        for variable, value in zip(model.non_trainable_variables, statistics(), strict=True):
            variable.assign(value)
        measured = {name: float(value) for name, value in model.get_metrics_result().items()}
        told.on_train_batch_end(batches.whole - 1, measured)
        told.on_epoch_end(epoch, measured)
        batches.on_epoch_end()
    told.on_train_end()
