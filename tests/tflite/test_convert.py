import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketface.cards import Output, VariantCard, read_card
from pocketface.errors import PocketfaceError
from pocketface.faces.selection import save as save_selection
from pocketface.faces.selection import select
from pocketface.files import sha256
from pocketface.study import Level as Settings
from pocketface.tflite import audit
from pocketface.tflite.convert import MODEL, convert, parity
from pocketface.tflite.levels import LEVELS
from pocketface.training.fit import fit, save
from tiny import face_set, study

CONVERT = """
import sys
from pathlib import Path
from pocketface.study import Level
from pocketface.tflite.convert import convert
from pocketface.tflite.levels import LEVELS
trained, views, out = map(Path, sys.argv[1:])
for level in LEVELS:
    convert(trained, views, level, Level(calibration=8), out / level)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A trained model, its views, and every level of it converted in another process."""
    root = tmp_path_factory.mktemp("convert")
    trained, views, out = root / "models", root / "views", root / "variants"
    plan = study()
    save(fit(plan, "small", face_set(), "research only"), trained)
    save_selection(select(face_set(), face_set(dataset="photos"), plan.models["small"].input), views)
    subprocess.run([sys.executable, "-c", CONVERT, trained, views, out], check=True, capture_output=True)
    return trained, views, out


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_holds_what_its_name_says(folders, level: str) -> None:
    card = read_card(folders[2] / level, VariantCard)
    assert card.status == "ok", card.reason
    held = audit.read((folders[2] / level / MODEL).read_bytes())
    assert set(held.large_weight_dtypes) == {LEVELS[level].weights}
    assert set(held.activation_dtypes) == {LEVELS[level].activations}
    assert card.weight_dtypes == held.weight_dtypes
    assert card.operators == held.operators
    assert card.operators["CONV_2D"] == 2


@pytest.mark.parametrize("level", LEVELS)
def test_converting_again_in_another_process_gives_the_same_bytes(
    folders, tmp_path: Path, level: str
) -> None:
    trained, views, out = folders
    card = convert(trained, views, level, Settings(calibration=8), tmp_path / level)
    for name in (MODEL, "card.json"):
        assert sha256(tmp_path / level / name) == sha256(out / level / name)
    assert card.sha256 == sha256(tmp_path / level / MODEL)
    assert card.size_bytes == (tmp_path / level / MODEL).stat().st_size


def test_float32_answers_as_the_keras_model_does(folders) -> None:
    card = read_card(folders[2] / "float32", VariantCard)
    for head in ("age", "gender"):
        assert card.parity[head].max_difference < 1e-4
        assert card.parity[head].agreement == 1
        assert card.parity[head].varies


def test_sizes_shrink_with_the_weights(folders) -> None:
    size = {level: read_card(folders[2] / level, VariantCard).size_bytes for level in LEVELS}
    assert size["float16"] < size["float32"]
    assert size["dynamic_int8"] < size["float16"]


def test_calibration_is_in_the_card_of_the_level_that_used_it(folders) -> None:
    card = read_card(folders[2] / "int8", VariantCard)
    assert card.calibration_faces == 8
    assert len(card.calibration_sha256 or "") == 64
    assert read_card(folders[2] / "float16", VariantCard).calibration_faces is None


def test_a_level_that_fails_its_audit_is_a_card_with_the_reason(folders, tmp_path: Path, monkeypatch) -> None:
    trained, views, _ = folders
    mislabelled = LEVELS["float32"].__class__(
        **{**LEVELS["float16"].__dict__, "name": "float32", "weights": "FLOAT32"}
    )
    monkeypatch.setitem(LEVELS, "float32", mislabelled)
    card = convert(trained, views, "float32", Settings(), tmp_path / "float32")
    assert card.status == "failed"
    assert "should hold FLOAT32 weights, the file has ['FLOAT16']" in (card.reason or "")
    assert [path.name for path in (tmp_path / "float32").iterdir()] == ["card.json"]


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x00" * 64, b"\x1c\x00\x00\x00TFL2" + b"\x00" * 64])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(PocketfaceError, match="not a TFLite file"):
        audit.read(content)


def test_parity_measures_difference_agreement_and_variety() -> None:
    classes = Output(kind="classes", labels=("a", "b"))
    expected = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    result = parity(classes, expected, np.array([[0.8, 0.2], [0.8, 0.2]], np.float32))
    assert result.max_difference == pytest.approx(0.4)
    assert result.agreement == 0.5
    assert not result.varies
    years = Output(kind="number", unit="years")
    result = parity(years, np.array([[30.0], [40.0]]), np.array([[30.4], [41.0]]))
    assert (result.agreement, result.faces) == (0.5, 2)
