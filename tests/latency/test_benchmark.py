import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from fake_outs import STUDY, model_card
from pocketface.cards import VariantCard, write_card
from pocketface.core.files import sha256
from pocketface.latency.benchmark import benchmark, summary, take_turns
from pocketface.report.outs import Timing
from pocketface.study import Study

STAGE = Path(__file__).parents[2] / "stages/benchmark.py"


@pytest.fixture
def variants(tmp_path, colour_model):
    """`variants/age_gender/` with float32 and int8 that run, and int16x8 that failed."""
    folder = tmp_path / "variants/age_gender"
    about = model_card(Study.model_validate(STUDY), "age_gender").model_dump()
    for level in ("float32", "int8"):
        (folder / level).mkdir(parents=True)
        shutil.copy(colour_model, folder / level / "model.tflite")
        facts = {"level": level, "sha256": sha256(colour_model), "size_bytes": colour_model.stat().st_size}
        write_card(folder / level, VariantCard.model_validate(about | facts))
    failed = {"level": "int16x8", "status": "failed", "reason": "no kernel"}
    write_card(folder / "int16x8", VariantCard.model_validate(about | failed))
    return folder


class Recorder:
    """Stands in for a `Runner`; writes its name into a list that all share."""

    input_shape = (4, 4, 1)

    def __init__(self, name, turns):
        self.name, self.turns = name, turns

    def one(self, image):
        assert image.dtype == np.uint8 and image.shape == self.input_shape
        self.turns.append(self.name)


def test_runners_take_turns_and_the_warm_up_does_not_count():
    turns: list[str] = []
    times = take_turns([Recorder("a", turns), Recorder("b", turns)], runs=3, warmup=1)
    assert "".join(turns) == "abbaabba"
    assert [len(column) for column in times] == [3, 3]


def test_the_summary_is_of_the_runs():
    assert summary([3.0, 1.0, 2.0]) == {
        "min_ms": 1.0,
        "median_ms": 2.0,
        "p95_ms": pytest.approx(2.9),
        "runs": 3,
    }


def test_a_variant_is_timed_against_its_sibling(variants):
    timing = benchmark(variants / "int8", variants / "float32", [1, 2], runs=3, warmup=1)
    assert Timing.model_validate(timing).status == "ok"
    assert set(timing["threads"]) == {"1", "2"}
    one = timing["threads"]["1"]
    assert 0 < one["min_ms"] <= one["median_ms"] <= one["p95_ms"] and one["runs"] == 3
    assert timing["float32_ratio"] > 0
    assert {"machine", "cpu", "cores", "system"} == set(timing["host"])


def test_the_profile_by_operator_comes_on_demand(variants):
    for profiled in (False, True):
        timing = benchmark(variants / "int8", variants / "float32", [1], runs=3, warmup=0, profiled=profiled)
        assert bool(timing["operators"]) == profiled
        assert Timing.model_validate(timing).status == "ok"


def test_there_is_no_ratio_without_a_sibling_that_runs(variants):
    for reference in ("int16x8", "absent"):
        timing = benchmark(variants / "int8", variants / reference, [1], runs=3, warmup=0)
        assert timing["status"] == "ok" and timing["float32_ratio"] is None


def test_a_variant_that_failed_or_does_not_run_is_a_row_with_its_reason(variants):
    assert benchmark(variants / "int16x8", variants / "float32", [1], 3, 0)["reason"] == "no kernel"
    (variants / "int8/model.tflite").write_bytes(b"damaged")
    timing = benchmark(variants / "int8", variants / "float32", [1], 3, 0)
    assert timing["status"] == "failed" and "model.tflite" in timing["reason"]


def test_the_stage_times_all_levels_of_a_model(variants, tmp_path):
    levels = {level: {} for level in ("float32", "int8", "int16x8")}
    study = STUDY | {"benchmark": {"runs": 3, "warmup": 0}, "threads": 1, "levels": levels}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(study))
    subprocess.run([sys.executable, STAGE, "age_gender"], cwd=tmp_path, check=True)
    written = {
        path.stem: json.loads(path.read_text()) for path in (tmp_path / "timings/age_gender").iterdir()
    }
    assert written.keys() == levels.keys()
    assert {level: timing["status"] for level, timing in written.items()} == {
        "float32": "ok",
        "int8": "ok",
        "int16x8": "failed",
    }
    assert list(written["int8"]["threads"]) == ["1"]
