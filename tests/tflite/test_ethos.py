import pytest

from pocketface.tflite import ethos


def test_vela_reports_where_operators_run(colour_model) -> None:
    pytest.importorskip("ethosu")
    found = ethos.report(colour_model)
    assert found.accelerator == "ethos-u65-256"
    assert found.npu_operators == 0  # the model is float
    assert found.cpu_operators > 0
    assert found.npu_share == 0


def test_a_file_that_vela_refuses_has_a_reason(tmp_path) -> None:
    pytest.importorskip("ethosu")
    (tmp_path / "model.tflite").write_bytes(b"no model")
    assert ethos.report(tmp_path / "model.tflite").reason


def test_without_vela_there_is_no_report(colour_model, monkeypatch) -> None:
    monkeypatch.setattr(ethos, "find_spec", lambda name: None)
    assert ethos.report(colour_model) is None
