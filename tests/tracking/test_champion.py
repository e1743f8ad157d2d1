"""The registry's champion: the rule, and that the registry says what was chosen."""

import pytest

from fake_outs import write_evaluation, write_timing
from pocketface.reporting.results import read_variant
from pocketface.study import Champion
from pocketface.tracking import store, track
from pocketface.tracking.champion import choose

AGE, EXPRESSION = "pocketface-tiny-age", "pocketface-tiny-expression"


def opened(outs):
    return store.open_store(outs.study, outs.root, store.address_of(outs.root)).client


def limited(outs, size=10.0, latency=10.0):
    return outs.study.model_copy(update={"champion": Champion(max_size_mb=size, max_latency_ms=latency)})


def crowned(outs, name):
    """Who is the champion, by the registry and by the tags of the runs."""
    version = opened(outs).get_model_version_by_alias(name, "champion")
    run = opened(outs).get_run(version.run_id)
    assert name.rpartition("-")[2] in run.data.tags["champion"].split(",")
    return run.info.run_name


@pytest.mark.parametrize(
    ("size", "latency", "champion"),
    [(10, 10, "float32"), (1, 10, "float16"), (10, 1.9999, "float16"), (0.4, 10, "int8"), (0.1, 10, None)],
)
def test_the_best_within_the_limits_is_chosen(outs, size, latency, champion):
    variants = [read_variant(outs.root, "age_gender", level) for level in outs.study.levels]
    figures = {v.level: v.figures["utkface.age_mae"] for v in variants}
    assert figures["float32"] < figures["float16"] < figures["int8"]
    choice = choose(limited(outs, size, latency), "age", variants)
    assert choice.figure == "utkface.age_mae"
    assert (choice.variant and choice.variant.level) == champion


def test_what_was_not_timed_is_no_candidate_and_of_equals_the_smallest_wins(outs):
    for level in ("float32", "float16"):
        write_evaluation(outs.study, "age_gender", level, outs.root, noise=0.0)
    read = [read_variant(outs.root, "age_gender", level) for level in outs.study.levels]
    assert choose(limited(outs), "age", read).variant.level == "float16"
    (outs.root / "timings/age_gender/float16.json").unlink()
    read = [read_variant(outs.root, "age_gender", level) for level in outs.study.levels]
    assert choose(limited(outs), "age", read).variant.level == "float32"


def test_the_registry_follows_and_repeats_nothing(outs):
    summary = track(limited(outs, size=0.4), outs.root)
    assert "champion of age: age_gender/int8, age MAE (years)" in summary.text()
    assert crowned(outs, AGE) == "age_gender/int8"
    assert "champion of expression: no variant" in summary.text(), "int8 of it failed"
    for _ in range(2):
        track(limited(outs), outs.root)
        assert crowned(outs, AGE) == "age_gender/float32"
        assert crowned(outs, EXPRESSION) == "expression/float16", "no worse than float32, and smaller"
        described = opened(outs).get_registered_model(AGE).description
        assert "the lowest utkface.age_mae of a file of at most 10 MB and 10 ms" in described
    track(limited(outs, size=0.4), outs.root)
    assert crowned(outs, AGE) == "age_gender/int8", "its version of the first time"
    assert len(opened(outs).search_model_versions(f"name = '{AGE}'")) == 2
    assert not opened(outs).get_registered_model(EXPRESSION).aliases
    tagged = [run for run in opened(outs).search_runs(["1"]) if run.data.tags.get("champion")]
    assert [run.info.run_name for run in tagged] == ["age_gender/int8"]


def test_new_timings_may_change_the_champion(outs):
    track(limited(outs, latency=3), outs.root)
    assert crowned(outs, AGE) == "age_gender/float32"
    write_timing("age_gender", "float32", outs.root, ms=5.0)
    track(limited(outs, latency=3), outs.root)
    assert crowned(outs, AGE) == "age_gender/float16"
