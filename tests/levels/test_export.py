"""What `export` leaves, and that it is enough."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from example_models import LARGE, OWN_LAYERS, SMALL, Plan, enliven
from full_disk import largest_file
from pocketface.cards import ModelCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.levels.converter import to_tflite
from pocketface.levels.export import PARITY_FACES, export
from pocketface.levels.source import ANSWERS, FLOAT32, NETWORK, WEIGHTS, Source, network

PLANS = [plan for plan in [*SMALL, *LARGE] if plan not in OWN_LAYERS]


def test_it_repeats_byte_for_byte(levels, tmp_path: Path) -> None:
    export(levels.trained, levels.views, tmp_path / "again")
    for name in (FLOAT32, ANSWERS, NETWORK, WEIGHTS, "card.json"):
        assert sha256(tmp_path / "again" / name) == sha256(levels.exported / name), name


def test_the_file_answers_as_the_keras_model(levels) -> None:
    source = Source.load(levels.exported, levels.views)
    faces = source.faces.first(PARITY_FACES).pixels
    with np.load(levels.exported / ANSWERS) as stored:
        for head, answer in source.float32.answers(faces).items():
            np.testing.assert_allclose(answer, stored[head], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_the_model_that_is_read_back_converts_to_the_same_bytes(plan: Plan, tmp_path: Path) -> None:
    """Those with layers of our own: tests/models/test_levels.py."""
    keras.utils.set_random_seed(1)
    model = plan.build()
    enliven(model)
    (tmp_path / NETWORK).write_text(model.to_json(), encoding="utf-8")
    model.save_weights(tmp_path / WEIGHTS)
    assert to_tflite(network(tmp_path)) == to_tflite(model)


def test_what_cannot_be_converted_has_a_reason(levels, tmp_path: Path, monkeypatch) -> None:
    def refuse(model: keras.Model) -> None:
        raise PocketfaceError("not convertible to float32: no kernel\nand a trace")

    monkeypatch.setattr("pocketface.levels.export.to_tflite", refuse)
    card = export(levels.trained, levels.views, tmp_path / "exported")
    assert (card.status, card.reason) == ("failed", "not convertible to float32: no kernel")
    assert card == read_card(tmp_path / "exported", ModelCard)


def test_a_full_disk_is_told_and_leaves_nothing(levels, tmp_path: Path) -> None:
    out = tmp_path / "exported/small"
    with largest_file(2_000), pytest.raises(PocketfaceError, match=f"{out}: no room to write it"):
        export(levels.trained, levels.views, out)
    assert list(out.parent.iterdir()) == []


def test_weights_of_another_model_are_told(levels, tmp_path: Path) -> None:
    exported = shutil.copytree(levels.exported, tmp_path / "exported")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(exported / WEIGHTS)
    with pytest.raises(
        PocketfaceError, match=rf"(?s){WEIGHTS}: not the weights of .*dvc repro export@exported"
    ):
        network(exported)
