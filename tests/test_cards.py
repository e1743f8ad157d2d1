from pathlib import Path

import pytest

from pocketface.cards import CARD, ModelCard, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import Output
from pocketface.faces.settings import Crop, Input

MODEL = ModelCard(
    model="small",
    architecture="compact",
    options={"widths": [8, 16]},
    dataset="utkface",
    licence="research only",
    crop=Crop(),
    input=Input(size=48),
    outputs={
        "age": Output(kind="number", unit="years"),
        "gender": Output(kind="classes", labels=("male", "female")),
    },
    parameters=10,
    trainable_parameters=8,
    macs=100,
    training={"learning_rate": 0.002},
)


def test_a_card_reads_back_and_keeps_the_order_of_labels(tmp_path: Path) -> None:
    write_card(tmp_path, MODEL)
    card = read_card(tmp_path, ModelCard)
    assert card == MODEL
    assert card.outputs["gender"].labels == ("male", "female")


def test_a_missing_card_and_one_of_another_kind_are_told(tmp_path: Path) -> None:
    with pytest.raises(PocketfaceError, match=r"card\.json: no such file"):
        read_card(tmp_path, VariantCard)
    (tmp_path / "file").touch()
    with pytest.raises(PocketfaceError, match=r"card\.json: no such file"):
        read_card(tmp_path / "file", VariantCard)
    write_card(tmp_path, MODEL)
    with pytest.raises(PocketfaceError, match="not a VariantCard"):
        read_card(tmp_path, VariantCard)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(PocketfaceError, match="not a ModelCard"):
        read_card(tmp_path, ModelCard)
