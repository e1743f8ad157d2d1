"""A variant as an MLflow model: its file and card, a signature, an example, and the code that loads it."""

import shutil
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np

from pocketface.cards import CARD, MODEL_FILE
from pocketface.report.outs import Variant
from pocketface.tracking import tflite_pyfunc
from pocketface.tracking.store import Store

NEEDS = ("ai-edge-litert", "mlflow", "numpy")
"""What `tflite_pyfunc` needs to run."""
ABOUT, DATA = "MLmodel", "data"
"""MLflow's own file, and the folder of the variant's."""


def log_model(store: Store, run: str, variant: Variant) -> str:
    """Adds a variant that runs to its run, as an MLflow model: no path of this machine, no other file.

    Returns:
        The model's id. Metrics that are logged with it show in MLflow's list of models too.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    card, client = variant.card, store.client
    name, tags = f"{variant.level} {variant.model}", {"model": variant.model, "level": variant.level}
    logged = client.create_logged_model(store.experiment, name, run, tags, model_type="tflite")
    widths = tuple((head, max(len(output.labels), 1)) for head, output in card.outputs.items())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for place, content in _form(card.input.size, card.input.channels, widths).items():
            (folder / place).parent.mkdir(exist_ok=True)
            (folder / place).write_bytes(content)
        (folder / DATA).mkdir()
        for file in filter(None, (CARD, MODEL_FILE, card.npu.file if card.npu else None)):
            shutil.copyfile(variant.folder / file, folder / DATA / file)
        about = Model.load(folder / ABOUT)
        about.run_id = run
        about.model_uuid = about.model_id = logged.model_id
        about.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        about.flavors["python_function"][DATA] = DATA
        about.save(folder / ABOUT)
        client.log_model_artifacts(logged.model_id, temporary)
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
    return logged.model_id


@lru_cache(maxsize=8)
def _form(side: int, channels: int, widths: tuple[tuple[str, int], ...]) -> dict[str, bytes]:
    """Name -> content of the files that all variants of a model share; MLflow takes long to make them.

    Raw pixels uint8 `[N, H, W, C]` go in; float32 `[N, K]` come out, by head. The example is a grey ramp.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    pixels = TensorSpec(np.dtype(np.uint8), (-1, side, side, channels), "image")
    answers = Schema([TensorSpec(np.dtype(np.float32), (-1, width), head) for head, width in widths])
    ramp = np.linspace(0, 255, side).astype(np.uint8)[None, None, :, None]
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "model"
        mlflow.pyfunc.save_model(
            packed,
            loader_module=tflite_pyfunc.__name__.rpartition(".")[2],
            code_paths=[tflite_pyfunc.__file__],
            signature=ModelSignature(Schema([pixels]), answers),
            input_example={"image": np.broadcast_to(ramp, (1, side, side, channels)).copy()},
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in NEEDS],
        )
        files = [path for path in packed.rglob("*") if path.is_file()]
        return {path.relative_to(packed).as_posix(): path.read_bytes() for path in files}
