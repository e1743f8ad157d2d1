"""The results table: written, read back, and complete."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fake_outs import FAILED, LEVELS, REASON, write_evaluation, write_outs, write_results
from pocketface.cards import Runtime, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import RACES
from pocketface.metrics.confidence import holm, paired, resample
from pocketface.metrics.settings import Margins
from pocketface.results.measure import Answered, _against_best
from pocketface.results.table import (
    ARENA,
    FACES,
    GAP,
    LATENCY,
    RESULTS,
    SIZE,
    STANDARDISED,
    STATUS,
    Row,
    Table,
)


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    return write_outs(tmp_path_factory.mktemp("outs"))


@pytest.fixture(scope="module")
def table(outs):
    return Table.load(outs.root)


def test_it_reads_back_as_it_was_written_and_its_bytes_repeat(table, tmp_path):
    table.write(tmp_path / "once.parquet")
    again = Table.read(tmp_path / "once.parquet")
    assert again.rows == table.rows
    again.write(tmp_path / "twice.parquet")
    assert (tmp_path / "once.parquet").read_bytes() == (tmp_path / "twice.parquet").read_bytes()


def test_every_variant_has_its_facts(table):
    for model in table.models:
        assert table.levels(model) == list(LEVELS)
    assert table.reason(*FAILED) == f"failed: {REASON}"
    assert table.reason("age_gender", "int8") is None and table.get("age_gender", "int8", STATUS)
    assert table.value("age_gender", "int8", SIZE) == 331_000
    assert table.value("age_gender", "int8", LATENCY) == pytest.approx(1.4)
    photos = table.get("age_gender", "int8", FACES, "photos")
    assert (photos.n, photos.text) == (18, "val")


def test_metrics_have_interval_change_constant_and_verdict(table):
    mae = table.get("age_gender", "int8", "age_mae", "utkface")
    assert mae.main and mae.n == 240 and mae.low < mae.value < mae.high < mae.constant
    assert mae.change_low < mae.change < mae.change_high
    assert mae.verdict in ("equivalent", "worse", "better", "cannot tell") and 0 <= mae.p <= 1
    assert table.get("age_gender", "float32", "age_mae", "utkface").verdict is None
    assert table.mains("age_gender") == ["utkface.age_mae", "utkface.gender_accuracy"]


def test_groups_have_their_rows(table):
    black = table.get("age_gender", "int8", "age_mae", "utkface", "race", "black")
    assert black.n and black.change is not None and black.main
    further = table.get("age_gender", "int8", "gender_macro_f1", "utkface", "race", "black")
    assert further.value is not None and further.change is None, "only main metrics are compared per group"


def test_groupings_have_their_gap_and_rates_of_equal_ages(table):
    crude = table.get("age_gender", "int8", "age_mae", "utkface", "race", GAP)
    values = {race: table.value("age_gender", "int8", "age_mae", "utkface", "race", race) for race in RACES}
    assert crude.value == pytest.approx(max(values.values()) - min(values.values()))
    assert crude.low <= crude.value <= crude.high and crude.main
    assert crude.text == f"{min(values, key=values.get)} to {max(values, key=values.get)}"
    male = ("age_gender", "int8", "age_mae", "utkface", f"gender{STANDARDISED}", "male")
    fair = table.get(*male)
    assert fair.low < fair.value < fair.high and fair.verdict is None
    assert fair.value != table.value("age_gender", "int8", "age_mae", "utkface", "gender", "male")
    assert table.get(*male[:-1], GAP) and not table.get(*male[:-2], f"age_band{STANDARDISED}", GAP)
    bias = table.get("age_gender", "int8", "age_bias", "utkface", "race", "black")
    assert bias.low < bias.value < bias.high and bias.verdict and not bias.main


def test_verdicts_of_groups_are_corrected_for_levels_and_groups(outs, table):
    answers = {}
    for level in LEVELS:
        rows = pd.read_parquet(outs.root / f"evaluation/age_gender/{level}/predictions.parquet")
        answers[level] = rows[rows["dataset"] == "utkface"].dropna(axis=1, how="all")
    p_values = {}
    for race in RACES:
        of = {
            level: resample(rows[rows["race"] == race], ["gender_accuracy"])
            for level, rows in answers.items()
        }
        for level in LEVELS[1:]:
            p_values[race, level] = paired(of[level], of["float32"])["gender_accuracy"].p
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    assert min(p_values.values()) < 0.05
    for (race, level), p_value in corrected.items():
        row = table.get("age_gender", level, "gender_accuracy", "utkface", "race", race)
        assert row.p == pytest.approx(p_value)


def test_any_label_groups_and_whole_persons_are_drawn(tmp_path, table):
    outs = write_outs(tmp_path)
    for path in tmp_path.glob("evaluation/age_gender/*/predictions.parquet"):
        rows = pd.read_parquet(path)
        persons = [str(i // 8) for i in range(len(rows))]
        rows.assign(camera=["a", "b"] * (len(rows) // 2), identity=persons).to_parquet(path)
    write_results(outs, by=["camera"])
    now, key = Table.load(tmp_path), ("age_gender", "int8", "gender_accuracy", "utkface")
    assert now.get(*key, "camera", "a").n == 120 and now.get(*key, "camera", GAP)
    assert now.get(*key, f"camera{STANDARDISED}", "b").value
    alone, of_persons = table.get(*key), now.get(*key)
    assert of_persons.value == alone.value and of_persons.low != alone.low
    assert of_persons.change_low != alone.change_low


def test_levels_that_answer_alike_have_the_same_rows(tmp_path):
    outs = write_outs(tmp_path)
    for level in ("float32", "float16"):
        write_evaluation(outs.study, "age_gender", level, tmp_path, noise=0.2)
    write_results(outs)
    table = Table.load(tmp_path)
    for metric in ("age_mae", "gender_macro_f1"):
        rows = [table.get("age_gender", level, metric, "utkface") for level in ("float16", "int8")]
        assert replace(rows[0], level="int8") == rows[1] and rows[0].change == 0
    assert table.get("age_gender", "float32", "age_mae", "utkface").change is None


def test_equal_answers_are_told_apart_from_worse_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("pocketface.results.measure.members", lambda table, by: {})  # of all faces alone
    outs = write_outs(tmp_path, faces=2000)
    write_evaluation(outs.study, "age_gender", "float16", outs.root, noise=0.0, faces=2000)
    write_results(outs)
    table = Table.load(outs.root)
    for metric in ("age_mae", "gender_accuracy"):
        assert table.get("age_gender", "float16", metric, "utkface").verdict == "equivalent"
        assert table.get("age_gender", "int8", metric, "utkface").verdict == "worse"


def test_levels_that_answered_other_faces_are_not_compared(tmp_path):
    outs = write_outs(tmp_path)
    path = tmp_path / "evaluation/age_gender/float16/predictions.parquet"
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    with pytest.raises(PocketfaceError, match=r"float16 and float32 answered other faces.*dvc repro"):
        write_results(outs)


@pytest.mark.parametrize("name", ["run.json", "predictions.parquet"])
def test_what_is_missing_or_damaged_is_named(tmp_path, name):
    outs = write_outs(tmp_path)
    path = tmp_path / "evaluation/expression/float16" / name
    for content in (b"{}", None):
        path.write_bytes(content) if content else path.unlink()
        with pytest.raises(PocketfaceError, match=rf"n/float16/{name}.*dvc repro evaluate@expression"):
            write_results(outs)


def test_a_damaged_table_or_timing_is_named(outs, tmp_path):
    with pytest.raises(PocketfaceError, match=r"results\.parquet: no such file; .*`dvc repro results`"):
        Table.read(tmp_path / RESULTS)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(PocketfaceError, match=r"t\.parquet: not a results table"):
        Table.read(tmp_path / "t.parquet")
    pd.DataFrame({"model": ["a"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(PocketfaceError, match=r"t\.parquet: not a results table"):
        Table.read(tmp_path / "t.parquet")
    Table((Row("m", "int8", STATUS),)).write(tmp_path / RESULTS)
    timing = tmp_path / "timings/m/int8.json"
    timing.parent.mkdir(parents=True)
    timing.write_text(json.dumps({"threads": 5}))
    with pytest.raises(PocketfaceError, match=r"int8\.json: not what `benchmark@m` writes"):
        Table.load(tmp_path)


def test_the_arena_that_stage_micro_found_is_a_row_of_the_table(tmp_path):
    outs = write_outs(tmp_path / "outs")
    model, level = next(iter(outs.study.models)), "int8"
    card = read_card(outs.root / "variants" / model / level, VariantCard)
    tried = card.model_copy(update={"runtimes": {"tflite-micro": Runtime(runs=True, arena_bytes=12345)}})
    write_card(outs.root / "micro" / model / level, tried)
    write_results(outs)
    table = Table.load(outs.root)
    assert table.value(model, level, ARENA) == 12345
    assert table.value(model, "float32", ARENA) is None


def test_models_with_other_words_for_a_head_are_not_compared():
    def answered(labels: list[str], seed: int) -> dict[str, Answered]:
        shares = np.random.default_rng(seed).dirichlet(np.ones(len(labels)), 60)
        said = np.array(labels, object)[shares.argmax(axis=1)]
        told = {"dataset": "mine", "image": [*map(str, range(60))], "mask": ["no", "yes"] * 30}
        told |= {"mask_pred": said} | {f"mask_prob_{label}": shares[:, i] for i, label in enumerate(labels)}
        return {"float32": Answered("ok", None, "", pd.DataFrame(told))}

    answers = {
        "best": answered(["no", "yes"], 1),
        "turned": answered(["yes", "no"], 2),
        "three": answered(["no", "yes", "unsure"], 3),
    }
    values = {"best": 0.9, "turned": 0.5, "three": 0.4}
    rows = [Row(m, "float32", "mask_accuracy", "mine", main=True, value=v) for m, v in values.items()]
    assert [row.model for row in _against_best(Table(tuple(rows)), answers, Margins())] == ["turned"]
