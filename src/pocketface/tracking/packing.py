"""A variant as an MLflow model: its file and card, a signature, an example, and the code that loads it.

model_id = log_model(store, run_id, variant)      # `mlflow.pyfunc.load_model(f"models:/{model_id}")`
"""

import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketface.cards import VariantCard
from pocketface.reporting.results import Variant
from pocketface.tracking import tflite_pyfunc
from pocketface.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

NEEDS = ("ai-edge-litert", "mlflow", "numpy")
"""What `tflite_pyfunc` needs to run."""


def log_model(store: Store, run: str, variant: Variant) -> str:
    """Adds a variant that runs to its run, as an MLflow model.

    Returns:
        The model's id. Metrics that are logged with it show in MLflow's list of models too.
    """
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    name = f"{variant.model}-{variant.level}"
    tags = {"model": variant.model, "level": variant.level}
    logged = store.client.create_logged_model(store.experiment, name, run, tags, model_type="tflite")
    about = Model(
        artifact_path=logged.artifact_location,
        run_id=run,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "model"
        mlflow.pyfunc.save_model(
            packed,
            mlflow_model=about,
            loader_module=tflite_pyfunc.__name__.rpartition(".")[2],
            code_paths=[tflite_pyfunc.__file__],
            data_path=str(variant.folder),
            signature=signature(variant.card),
            input_example={"image": example(variant.card)},
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in NEEDS],
        )
        store.client.log_model_artifacts(logged.model_id, str(packed))
    store.client.finalize_logged_model(logged.model_id, "READY")
    store.client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return logged.model_id


def signature(card: VariantCard) -> "ModelSignature":
    """Raw pixels uint8 `[N, H, W, C]` in; float32 `[N, K]` out, by head."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    side, channels = card.input.size, card.input.channels
    widths = {head: max(len(output.labels), 1) for head, output in card.outputs.items()}
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, side, side, channels), "image")]),
        outputs=Schema(
            [TensorSpec(np.dtype(np.float32), (-1, width), head) for head, width in widths.items()]
        ),
    )


def example(card: VariantCard) -> np.ndarray:
    """One picture of nobody, uint8 `[1, H, W, C]`: a ramp from black to white."""
    side, channels = card.input.size, card.input.channels
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    return np.broadcast_to(ramp[None, None, :, None], (1, side, side, channels)).copy()
