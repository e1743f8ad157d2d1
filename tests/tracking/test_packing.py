"""A variant as an MLflow model: what is loaded from the store answers as the file does."""

from pathlib import Path

import numpy as np
import pytest

from colour_net import FACES, SIDE, colour_model, painted, write_variants
from fake_outs import STUDY
from pocketface.cards import VariantCard, read_card
from pocketface.report.outs import Variant
from pocketface.results.table import Table
from pocketface.study import Study
from pocketface.tflite.run import Runner
from pocketface.tracking.packing import log_model
from pocketface.tracking.store import address_of, open_store

LEVELS = ("float32", "int8_io")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("packing")
    write_variants(root, colour_model(), painted()[0], LEVELS)
    return root / "variants/small"


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_loaded_answers_as_the_file_does(outs, folder, level, monkeypatch):
    import mlflow

    address = address_of(outs.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    store = open_store(Study.model_validate(STUDY), address)
    card = read_card(folder / level, VariantCard)
    variant = Variant("small", level, folder / level, card, Table(()), None)
    model_id = log_model(store, store.create("small", {}), variant)

    loaded = mlflow.pyfunc.load_model(f"models:/{model_id}")
    faces = painted()[0][:12]
    answers, expected = loaded.predict({"image": faces}), Runner(folder / level / "model.tflite")(faces)
    assert set(answers) == {"age", "gender"}
    for head, answer in answers.items():
        np.testing.assert_array_equal(answer, expected[head])
    assert np.ptp(answers["age"]) > 20, f"{FACES} faces of all ages"

    wanted = loaded.metadata.signature.inputs.inputs[0]
    assert (wanted.name, wanted.type, wanted.shape) == ("image", np.uint8, (-1, SIDE, SIDE, 3))
    with pytest.raises(mlflow.MlflowException):
        loaded.predict({"image": faces[:, 1:]})

    packed = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}"))
    example = mlflow.models.Model.load(packed).load_input_example(str(packed))
    assert loaded.predict(example)["gender"].shape == (1, 2)
    files = [path for path in packed.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".pkl"]
    for path in (folder.parents[1], outs.root):
        assert str(path) not in (packed / "MLmodel").read_text(), "no path of this machine"
