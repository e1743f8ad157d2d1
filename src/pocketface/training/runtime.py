"""What the bytes of trained weights depend on besides data, recipe and seed."""

import os

import keras


def prepare(seed: int, threads: int) -> dict[str, object]:
    """Seeds everything and makes the backend deterministic.

    Call it once, before the first tensor exists: TensorFlow fixes its thread counts then.

    Args:
        seed: of Python, numpy and the backend.
        threads: within and between operators; other counts give other bytes.

    Returns:
        What the weights' bytes depend on, for the card.
    """
    keras.utils.set_random_seed(seed)
    facts: dict[str, object] = {"backend": keras.backend.backend(), "seed": seed, "threads": threads}
    if facts["backend"] == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.experimental.enable_op_determinism()
        facts["onednn"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") == "1"
        facts["tensorflow"] = tf.__version__
    return facts
