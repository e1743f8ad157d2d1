"""A variant as an MLflow model: its file and card, a signature, an example, and the code that loads it.

model_id = log_model(store, run_id, variant)      # `mlflow.pyfunc.load_model(f"models:/{model_id}")`
"""

import shutil
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketface.cards import CARD, MODEL_FILE
from pocketface.report.outs import Variant
from pocketface.tracking import tflite_pyfunc
from pocketface.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

NEEDS = ("ai-edge-litert", "mlflow", "numpy")
"""What `tflite_pyfunc` needs to run."""

ABOUT, DATA = "MLmodel", "data"
"""MLflow's own file, and the folder of the variant's."""

Widths = tuple[tuple[str, int], ...]
"""The heads, and how many numbers each answers."""


def log_model(store: Store, run: str, variant: Variant) -> str:
    """Adds a variant that runs to its run, as an MLflow model.

    Returns:
        The model's id. Metrics that are logged with it show in MLflow's list of models too.
    """
    from mlflow.entities import LoggedModelOutput

    name = f"{variant.level} {variant.model}"
    tags = {"model": variant.model, "level": variant.level}
    logged = store.client.create_logged_model(store.experiment, name, run, tags, model_type="tflite")
    with tempfile.TemporaryDirectory() as folder:
        _pack(Path(folder), variant, run, logged)
        store.client.log_model_artifacts(logged.model_id, folder)
    store.client.finalize_logged_model(logged.model_id, "READY")
    store.client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return logged.model_id


def _pack(folder: Path, variant: Variant, run: str, logged: "LoggedModel") -> None:
    """Writes everything that MLflow loads into an empty folder: no path of this machine, no other file."""
    from mlflow.models import Model

    card = variant.card
    widths = tuple((head, max(len(output.labels), 1)) for head, output in card.outputs.items())
    for name, content in _form(card.input.size, card.input.channels, widths).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / DATA).mkdir()
    compiled = card.npu.file if card.npu else None
    for name in filter(None, (CARD, MODEL_FILE, compiled)):
        shutil.copyfile(variant.folder / name, folder / DATA / name)
    about = Model.load(folder / ABOUT)
    about.run_id = run
    about.model_uuid = about.model_id = logged.model_id
    about.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    about.flavors["python_function"][DATA] = DATA
    about.save(folder / ABOUT)


@lru_cache(maxsize=8)
def _form(side: int, channels: int, widths: Widths) -> dict[str, bytes]:
    """Name -> content of the files that all variants of a model share; MLflow takes long to make them."""
    import mlflow.pyfunc

    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "model"
        mlflow.pyfunc.save_model(
            packed,
            loader_module=tflite_pyfunc.__name__.rpartition(".")[2],
            code_paths=[tflite_pyfunc.__file__],
            signature=signature(side, channels, widths),
            input_example={"image": example(side, channels)},
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in NEEDS],
        )
        files = [path for path in packed.rglob("*") if path.is_file()]
        return {path.relative_to(packed).as_posix(): path.read_bytes() for path in files}


def signature(side: int, channels: int, widths: Widths) -> "ModelSignature":
    """Raw pixels uint8 `[N, H, W, C]` in; float32 `[N, K]` out, by head."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, side, side, channels), "image")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, width), head) for head, width in widths]),
    )


def example(side: int, channels: int) -> np.ndarray:
    """One picture of nobody, uint8 `[1, H, W, C]`: a ramp from black to white."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    return np.broadcast_to(ramp[None, None, :, None], (1, side, side, channels)).copy()
