import shutil
from pathlib import Path

import numpy as np
import pytest

from example_models import Plan
from full_disk import largest_file
from pocketface.core.errors import FULL
from pocketface.core.files import sha256
from pocketface.levels import LEVELS, ranges
from pocketface.levels.converter import to_tflite
from pocketface.levels.quantizer import quantize
from pocketface.micro import vela


@pytest.fixture
def copied(tmp_path, colour_model) -> Path:
    """A float model in a folder of its own, as Vela's files are left beside it."""
    return Path(shutil.copy(colour_model, tmp_path / "model.tflite"))


def test_of_a_float_model_nothing_runs_on_the_npu_and_nothing_is_kept(copied) -> None:
    pytest.importorskip("ethosu")
    found = vela.compile_for(copied)
    assert found.accelerator == "ethos-u65-256"
    assert found.npu_operators == 0
    assert found.cpu_operators > 0
    assert (found.npu_share, found.file) == (0, None)
    assert [path.name for path in copied.parent.iterdir()] == ["model.tflite"]


def test_an_integer_model_is_compiled_and_its_bytes_repeat(tmp_path) -> None:
    pytest.importorskip("ethosu")
    plan = Plan("facenet", 36, 1, ["Male", "Bald"])
    float32 = to_tflite(plan.build())
    file = quantize(float32, LEVELS["int8_io"], ranges.measure(float32, plan.faces(4)))
    kept = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / "model.tflite").write_bytes(file.content)
        found = vela.compile_for(folder / "model.tflite")
        assert (found.npu_share, found.file) == (1, "ethos-u65-256.tflite"), found
        assert found.cycles > 0 and found.sram_bytes > 0
        kept.append([sha256(folder / f"ethos-u65-256.{kind}") for kind in ("tflite", "csv")])
    assert kept[0] == kept[1]
    assert vela.suits(file) and not vela.suits(float32)
    assert b"ethos-u" in (folder / "ethos-u65-256.tflite").read_bytes(), "Vela's custom operator"
    assert np.frombuffer((folder / "ethos-u65-256.tflite").read_bytes()[4:8], "S4")[0] == b"TFL3"


def test_a_file_that_vela_refuses_has_a_reason(tmp_path) -> None:
    pytest.importorskip("ethosu")
    (tmp_path / "model.tflite").write_bytes(b"no model")
    assert vela.compile_for(tmp_path / "model.tflite").reason


def test_a_full_disk_is_no_reason_of_vela_s(copied) -> None:
    pytest.importorskip("ethosu")
    with largest_file(100), pytest.raises(OSError, match=FULL):
        vela.compile_for(copied)


def test_without_vela_there_is_no_report(copied, monkeypatch) -> None:
    monkeypatch.setattr(vela, "find_spec", lambda name: None)
    assert vela.compile_for(copied) is None
