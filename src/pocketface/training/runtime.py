"""What the bytes of trained weights depend on besides data, recipe and seed."""

import os

import keras


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
