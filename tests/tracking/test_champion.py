"""The registry's champion: the registry says what `pocketface.choosing` chooses."""

import json

from fake_outs import write_timing
from pocketface.study import Champion
from pocketface.tracking import store
from pocketface.tracking.publish import track

AGE, EXPRESSION = "pocketface-tiny-age", "pocketface-tiny-expression"


def opened(outs):
    return store.open_store(outs.study, store.address_of(outs.root)).client


def limited(outs, size=10.0, latency=10.0):
    return outs.study.model_copy(update={"champion": Champion(max_size_mb=size, max_latency_ms=latency)})


def crowned(outs, name):
    """Who is the champion, by the registry and by the tags of the runs."""
    version = opened(outs).get_model_version_by_alias(name, "champion")
    run = opened(outs).get_run(version.run_id)
    assert name.rpartition("-")[2] in run.data.tags["champion"].split(",")
    model = opened(outs).get_logged_model(run.data.tags["model_id"])
    shown = json.loads(model.tags["mlflow.modelVersions"])
    assert {"name": name, "version": str(version.version)} in shown, "MLflow shows it as registered"
    return run.info.run_name


def test_the_registry_follows_and_repeats_nothing(outs):
    summary = track(limited(outs, size=0.4), outs.root)
    assert "champion of age: take age_gender/int8: age MAE (years)" in summary.text()
    assert crowned(outs, AGE) == "int8 age_gender"
    assert "champion of expression: no variant" in summary.text(), "int8 of it failed"
    for _ in range(2):
        track(limited(outs), outs.root)
        assert crowned(outs, AGE) == "float16 age_gender"
        assert crowned(outs, EXPRESSION) == "float16 expression"
        described = opened(outs).get_registered_model(AGE).description
        assert described.startswith("Champion of study tiny. age: take age_gender/float16: age MAE")
        assert described.endswith("Within 10 MB and 10 ms a face.")
    track(limited(outs, size=0.4), outs.root)
    assert crowned(outs, AGE) == "int8 age_gender", "its version of the first time"
    assert len(opened(outs).search_model_versions(f"name = '{AGE}'")) == 2
    assert not opened(outs).get_registered_model(EXPRESSION).aliases
    tagged = [run for run in opened(outs).search_runs(["1"]) if run.data.tags.get("champion")]
    assert [run.info.run_name for run in tagged] == ["int8 age_gender"]


def test_new_timings_may_change_the_champion(outs):
    track(limited(outs, latency=3), outs.root)
    assert crowned(outs, AGE) == "float16 age_gender"
    write_timing("age_gender", "float16", outs.root, ms=5.0)
    track(limited(outs, latency=3), outs.root)
    assert crowned(outs, AGE) == "float32 age_gender"
