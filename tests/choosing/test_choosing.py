"""Which variant is chosen, what the answer says of the others, and that a report tells what the outs tell."""

import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from fake_outs import FAILED, LEVELS, STUDY, write_evaluation, write_outs
from pocketface.choosing import answer, choose, open_evidence, tasks
from pocketface.choosing.limits import limits_of
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.reporting.report import write_report
from pocketface.study import Champion, Study

STUDY_OF_ONE = Study.model_validate(STUDY)
ANY = Champion(max_size_mb=None, max_latency_ms=None)


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    """A study's outs with its report."""
    made = write_outs(tmp_path_factory.mktemp("outs"))
    write_report(made.study, made.root)
    return made


@pytest.fixture(scope="module")
def evidence(outs):
    return open_evidence(outs.study, outs.root)


def one(level, mae, size=100_000, ms=1.0, reason=None, **figures):
    figures = {"utkface.age_mae": mae, "utkface.n": 9, "size_bytes": size, **figures} if not reason else {}
    return SimpleNamespace(model="age_gender", level=level, reason=reason, figures=figures, latency_ms=ms)


@pytest.mark.parametrize(
    ("size", "latency", "chosen"),
    [(10, 10, "float32"), (1, 10, "float16"), (10, 1.9999, "float16"), (0.4, 10, "int8"), (0.1, 10, None)],
)
def test_the_best_within_the_limits_is_chosen(outs, evidence, size, latency, chosen):
    figures = {v.level: v.figures["utkface.age_mae"] for v in evidence.variants if v.model == "age_gender"}
    assert figures["float32"] < figures["float16"] < figures["int8"]
    limits = Champion(max_size_mb=size, max_latency_ms=latency)
    choice = choose(outs.study, "age", evidence.variants, limits)
    assert choice.figure == "utkface.age_mae"
    assert (choice.variant and choice.variant.level) == chosen
    assert len(choice.candidates) + len(choice.excluded) == len(LEVELS)


def test_of_equals_the_smallest_wins_and_what_was_not_timed_is_no_candidate():
    variants = [one("float32", 6.0, 400), one("float16", 6.0, 200), one("int8", 6.0, 100, ms=None)]
    choice = choose(STUDY_OF_ONE, "age", variants)
    assert [variant.level for variant in choice.candidates] == ["float16", "float32"]
    assert choice.excluded[0].why == "its latency was not measured"
    assert choose(STUDY_OF_ONE, "age", variants, ANY).variant.level == "int8"


def test_another_metric_may_choose_another_variant():
    variants = [
        one("float32", 6.0, **{"utkface.gender_macro_f1": 0.8, "photos.gender_accuracy": 0.9}),
        one("int8", 6.1, **{"utkface.gender_macro_f1": 0.9, "photos.gender_accuracy": 0.7}),
    ]
    for metric in ("macro_f1", "gender_macro_f1", "utkface.gender_macro_f1"):
        choice = choose(STUDY_OF_ONE, "gender", variants, metric=metric)
        assert (choice.figure, choice.variant.level) == ("utkface.gender_macro_f1", "int8")
    assert (
        choose(STUDY_OF_ONE, "gender", variants, metric="photos.gender_accuracy").variant.level == "float32"
    )
    for unknown in ("beauty", "utkface.n", "size_bytes"):
        with pytest.raises(PocketfaceError, match="there are, for gender, photos"):
            choose(STUDY_OF_ONE, "gender", variants, metric=unknown)


def test_the_answer_tells_what_excluded_the_better_ones_and_what_is_noise(outs, evidence):
    choice = choose(outs.study, "age", evidence.variants, Champion(max_size_mb=1, max_latency_ms=10))
    told = answer(choice, evidence).splitlines()
    assert told[0].startswith("age: age_gender/float16, age MAE (years) ") and "612 kB, 1.97 ms" in told[0]
    assert told[1].strip().startswith("of 3 variants that answer age, 2 run and keep within 1 MB and 10 ms")
    assert told[2].strip().startswith("better, but out: age_gender/float32 (") and ": 1.20 MB; " in told[2]
    assert told[3].strip().startswith("runner-up: age_gender/int8 (")
    assert told[3].endswith("which is real"), "its answers are a fifth noisier"
    failed = choose(outs.study, "expression", evidence.variants, ANY)
    assert f"out: {'/'.join(FAILED)}: does not run: no kernel" in answer(failed, evidence)


def test_equal_answers_are_noise_and_others_faces_are_not_compared(tmp_path):
    outs = write_outs(tmp_path)
    write_evaluation(outs.study, "age_gender", "int8", outs.root, noise=0.0)
    evidence = open_evidence(outs.study, outs.root)
    choice = choose(outs.study, "age", evidence.variants, ANY)
    assert [variant.level for variant in choice.candidates] == ["int8", "float32", "float16"]
    assert answer(choice, evidence).endswith("; ±0 (95%: 0 to 0), which is noise")
    path = outs.root / "evaluation/age_gender/float32/predictions.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    evidence = open_evidence(outs.study, outs.root)
    assert answer(choice, evidence).endswith("whether that is noise cannot be told from here")


def test_a_report_alone_chooses_the_same_and_knows_the_changes_against_float32(outs, evidence, tmp_path):
    shutil.copytree(outs.root / "reports", tmp_path / "reports")
    for place in (tmp_path, tmp_path / "reports/tiny"):
        report = open_evidence(outs.study, place)
        for task in tasks(outs.study):
            for limits in (ANY, Champion(max_size_mb=1, max_latency_ms=10)):
                there = choose(outs.study, task, report.variants, limits)
                here = choose(outs.study, task, evidence.variants, limits)
                assert str(there) == str(here)
                assert [e.why for e in there.excluded] == [e.why for e in here.excluded]
    age = choose(outs.study, "age", report.variants, Champion(max_size_mb=1, max_latency_ms=10))
    told = answer(age, report).splitlines()
    assert told[2] == answer(choose(outs.study, "age", evidence.variants), evidence).splitlines()[2]
    assert told[3].endswith("whether that is noise cannot be told from here"), "int8 against float16"
    for name in ("changes.json", "timings.json"):
        (tmp_path / "reports/tiny" / name).unlink()
    report = open_evidence(outs.study, tmp_path)
    age = choose(outs.study, "age", report.variants, ANY)
    assert age.variant is not None, "git keeps metrics.json alone"


def test_limits_are_read_with_their_units():
    assert limits_of(STUDY_OF_ONE, None, None) == STUDY_OF_ONE.champion
    read = limits_of(STUDY_OF_ONE, "500 kB", "0.5s")
    assert (read.max_size_mb, read.max_latency_ms) == (0.5, 500)
    assert limits_of(STUDY_OF_ONE, "any", "ANY") == ANY
    for wrong in ("5", "MB", "-1MB", "0MB", "5ms", "1e3kB"):
        with pytest.raises(PocketfaceError, match="--max-size"):
            limits_of(STUDY_OF_ONE, wrong, None)


def test_the_command_answers_and_ends_with_status_1_where_nothing_fits(outs, monkeypatch):
    monkeypatch.chdir(outs.root)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["choose", *arguments])

    found = run("--task", "age", "--max-size", "1MB", "--max-latency", "5ms")
    assert (found.exit_code, found.output.partition(",")[0]) == (0, "age: age_gender/float16"), found.output
    assert len([line for line in run().output.splitlines() if not line.startswith(" ")]) == 3
    found = run("--task", "gender", "--max-size", "10kB")
    assert found.exit_code == 1
    assert "out: age_gender/int8" in found.output
    assert run("--task", "beauty").exit_code == 2
    (outs.root / "other.yaml").write_text(
        yaml.safe_dump(STUDY | {"models": {"age": STUDY["models"]["age_gender"]}})
    )
    found = run("--study", "other.yaml", "--from", "reports/tiny")
    assert found.exit_code == 2
