"""What the bytes of trained weights depend on besides data, recipe and seed."""

import os
from collections.abc import Mapping

import keras
import numpy as np


def limit_threads(threads: int) -> None:
    """Fixes TensorFlow's threads within and between operators; another count gives other bytes.

    Call it first thing in a process: TensorFlow takes no other number once it has made a tensor.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def seed_everything(seed: int) -> dict[str, object]:
    """Seeds Python, numpy and the backend, and has it choose deterministic kernels.

    Returns:
        What the weights' bytes depend on, for the card.
    """
    keras.utils.set_random_seed(seed)
    facts: dict[str, object] = {"backend": keras.backend.backend(), "seed": seed}
    if facts["backend"] == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
        facts["threads"] = tf.config.threading.get_intra_op_parallelism_threads()
        facts["onednn"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") == "1"
        facts["tensorflow"] = tf.__version__
    return facts


def make_variables(
    model: keras.Model, truth: Mapping[str, np.ndarray], weight: Mapping[str, np.ndarray] | None = None
) -> None:
    """Makes those of a compiled model's optimizer, loss and metrics, from any batch's targets and weights.

    Keras would make them in the first step, and TensorFlow then trace that a second time.
    """
    model.optimizer.build(model.trainable_variables)
    count = len(next(iter(truth.values())))
    answers = {name: np.ones((count, *output.shape[1:]), np.float32) for name, output in model.output.items()}
    model.compute_loss(y=truth, y_pred=answers, sample_weight=weight)
    model.compute_metrics(None, truth, answers, weight)
