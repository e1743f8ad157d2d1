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
    times = take_turns([Recorder(name, turns) for name in "abc"], runs=3, warmup=1)
    rounds = ["".join(turns[i : i + 3]) for i in range(0, 12, 3)]
    assert ["".join(sorted(one)) for one in rounds] == ["abc"] * 4 and len(set(rounds)) > 1
    assert [len(column) for column in times] == [3, 3, 3]


def test_the_summary_is_of_the_runs():
    found = {"min_ms": 1.0, "median_ms": 2.0, "p95_ms": pytest.approx(2.9), "runs": 3}
    assert summary([3.0, 1.0, 2.0]) == found


def timed(variants, *levels, threads=(1,), profiled=False):
    return benchmark({level: variants / level for level in levels}, threads, 3, 0, profiled)


def test_variants_are_timed_together_and_the_ratio_is_that_of_the_milliseconds(variants, odd_model):
    shutil.copy(odd_model, variants / "int8/model.tflite")
    timings = timed(variants, "float32", "int8", threads=[1, 2])
    int8, one = timings["int8"], timings["int8"]["threads"]["1"]
    assert Timing.model_validate(int8).status == "ok" and set(int8["threads"]) == {"1", "2"}
    assert 0 < one["min_ms"] <= one["median_ms"] <= one["p95_ms"] and one["runs"] == 3
    float32 = timings["float32"]["threads"]["1"]["median_ms"]
    assert int8["float32_ratio"] == one["median_ms"] / float32 != 1
    assert {"machine", "cpu", "cores", "system"} == set(int8["host"])


def test_one_file_has_one_time(variants):
    timings = timed(variants, "float32", "int8")
    assert timings["int8"]["threads"] == timings["float32"]["threads"]
    assert timings["int8"]["level"] == "int8"
    for levels in (("float32", "int8"), ("int8", "float32")):
        assert {timing["float32_ratio"] for timing in timed(variants, *levels).values()} == {1}


def test_the_profile_by_operator_comes_on_demand(variants):
    for profiled in (False, True):
        timing = timed(variants, "float32", profiled=profiled)["float32"]
        assert bool(timing["operators"]) == profiled
        assert Timing.model_validate(timing).status == "ok"


def test_there_is_no_ratio_without_a_float32_that_runs(variants):
    assert timed(variants, "int8")["int8"]["float32_ratio"] is None
    (variants / "float32/model.tflite").write_bytes(b"damaged")
    timing = timed(variants, "float32", "int8")["int8"]
    assert timing["status"] == "ok" and timing["float32_ratio"] is None


def test_a_variant_that_failed_or_does_not_run_is_a_row_with_its_reason(variants):
    (variants / "int8/model.tflite").write_bytes(b"damaged")
    timings = timed(variants, "float32", "int8", "int16x8")
    assert timings["int16x8"]["reason"] == "no kernel"
    assert timings["int8"]["status"] == "failed" and "model.tflite" in timings["int8"]["reason"]
    assert timings["float32"]["status"] == "ok"


def test_the_stage_times_all_levels_of_a_model(variants, tmp_path):
    levels = {level: {} for level in ("float32", "int8", "int16x8")}
    study = STUDY | {"benchmark": {"runs": 3, "warmup": 0}, "threads": 1, "levels": levels}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(study))
    subprocess.run([sys.executable, STAGE, "age_gender"], cwd=tmp_path, check=True)
    files = (tmp_path / "timings/age_gender").iterdir()
    written = {path.stem: json.loads(path.read_text()) for path in files}
    statuses = {level: timing["status"] for level, timing in written.items()}
    assert statuses == {"float32": "ok", "int8": "ok", "int16x8": "failed"}
    assert list(written["int8"]["threads"]) == ["1"]
