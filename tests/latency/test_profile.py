import pytest

from pocketface.core.errors import PocketfaceError
from pocketface.latency.profile import profile

RUNS = 4


def test_every_operator_that_ran_has_its_share(colour_model) -> None:
    rows = profile(colour_model, RUNS)
    assert sum(row["share"] for row in rows) == pytest.approx(1, abs=0.01)
    assert {row["by"] for row in rows} <= {"XNNPACK", "LiteRT"}
    assert any("Mean" in row["operator"] or row["operator"] == "MEAN" for row in rows)
    assert all(row["calls"] >= 1 and row["mean_ms"] >= 0 for row in rows)


def test_what_does_not_run_is_an_error(tmp_path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"no model")
    with pytest.raises(PocketfaceError, match="LiteRT's profiler gave nothing"):
        profile(tmp_path / "model.tflite", RUNS)
