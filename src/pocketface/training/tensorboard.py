"""Learning curves as TensorBoard reads them: `uv run --with tensorboard tensorboard --logdir runs`."""

from pathlib import Path


class TensorBoard:
    """Writes the curves of one training into a folder of event files; TensorBoard itself need not be
    installed.
    """

    def __init__(self, folder: Path):
        import tensorflow as tf

        self._tf, self._writer = tf, tf.summary.create_file_writer(str(folder))
        scalar = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self._scalar = tf.compat.v1.SummaryMetadata(plugin_data=scalar, data_class=1)

    def log(self, epoch: int, metrics: dict[str, float]) -> None:
        """Takes the metrics of one finished epoch."""
        with self._writer.as_default():
            for name, value in metrics.items():
                self._tf.summary.write(name, self._tf.constant(value), epoch, metadata=self._scalar)
        self._writer.flush()
