"""Which variant is taken, and what the answer says."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from fake_outs import STUDY, write_outs
from pocketface.choosing.answer import advice, lines, print_choice
from pocketface.choosing.rule import choose, pick, tasks
from pocketface.choosing.settings import Champion, limits_of
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.results.table import ARENA, FLOAT32, LATENCY, MIN_RUNTIME, SHA256, SIZE, STATUS, Row, Table
from pocketface.study import Study

ANY = Champion(max_size_mb=None, max_latency_ms=None)


def variant(level, verdict, size=100, ms=1.0, model="net", mae=6.0, runtime="2.13.0", reason=None, **facts):
    """The rows of one variant that answers age."""
    if reason:
        return [Row(model, level, STATUS, text=reason)]
    main = {"main": True, "n": 900, "value": mae, "low": mae - 0.2, "high": mae + 0.2}
    change = {"change": 0.02, "change_low": 0.0, "change_high": 0.04, "verdict": verdict}
    change = {} if level == FLOAT32 else change
    rows = [
        Row(model, level, STATUS),
        Row(model, level, SIZE, value=size),
        Row(model, level, MIN_RUNTIME, text=runtime),
        Row(model, level, "age_mae", "utkface", **main, **change),
    ]
    rows += [Row(model, level, LATENCY, value=ms)] if ms is not None else []
    rows += [Row(model, level, SHA256, text=facts.get("sha", level))]
    return rows + ([Row(model, level, ARENA, value=facts["arena"])] if "arena" in facts else [])


def table(*variants):
    return Table(tuple(row for rows in variants for row in rows))


def picked(*variants, limits=ANY):
    return pick(table(variant(FLOAT32, None, 400, 2.0), *variants), "net", limits)


def taken(*variants, limits=ANY):
    found = picked(*variants, limits=limits)
    return found.level, found.sure


def test_of_the_equivalent_levels_the_fastest_is_taken_then_the_smallest_then_the_most_portable():
    equal = "equivalent"
    assert taken(variant("int8", equal, 110, 0.5), variant("int4_weights", equal, 60, 0.9)) == ("int8", True)
    assert taken(variant("int8", equal, 110, 0.5), variant("int8_io", equal, 100, 0.52)) == ("int8_io", True)
    old = variant("int8_io", equal, 110, 0.5, runtime="2.3.0")
    assert taken(variant("int8", equal, 110, 0.5), old) == ("int8_io", True)
    assert taken(variant("int8", "worse", 110, 0.1), variant("float16", equal, 200, 1.9)) == ("float16", True)
    for verdict, said in ((equal, "to float32"), ("better", "to float32 or better")):
        assert picked(variant("int8", verdict, 110, 0.5)).why.endswith(said)


def test_a_level_that_is_not_shown_to_be_equal_is_taken_only_where_none_is_and_with_a_warning():
    unsure = variant("int8", "cannot tell", 110, 0.5)
    assert taken(unsure, variant("float16", "equivalent", 200, 1.9)) == ("float16", True)
    assert taken(unsure) == ("int8", False)
    assert "too few" in picked(unsure).why
    assert taken(variant("int8", "worse", 110, 0.5)) == (FLOAT32, True)


def test_levels_without_a_metric_are_not_called_equivalent():
    rows = [
        row
        for row in (*variant(FLOAT32, None, 400, 2.0), *variant("int8", "worse", 110, 0.5))
        if not row.main
    ]
    found = pick(Table(tuple(rows)), "net", ANY)
    assert (found.level, found.sure) == ("int8", False)
    assert found.why == "the fastest within the limits; nothing says how good its answers are"


def test_beside_cannot_tell_stands_what_would_show():
    for verdict, told in (("cannot tell", "cannot tell, could show 0.30."), ("worse", "worse.")):
        small = [replace(row, detectable=0.3) for row in variant("int8", verdict, 110, 3.0)]
        assert advice(picked(small)).endswith(told)


def test_of_equal_files_the_first_level_is_taken():
    equal = [
        variant(level, "equivalent", 110, ms, sha="f00") for level, ms in (("int8", 0.6), ("mixed_int8", 0.5))
    ]
    assert taken(*equal) == ("int8", True)
    assert [one.excluded for one in picked(*equal).candidates] == ["", "", "same file as int8"]


def test_limits_keep_out_and_say_so():
    small = Champion(max_size_mb=0.00015, max_latency_ms=None)
    assert taken(variant("int8", "worse", 110, 0.5), limits=small) == ("int8", False)
    found = picked(variant("int8", "worse", 110, 0.5), limits=small)
    assert found.why.endswith("every level is worse than float32")
    assert taken(variant("int8", "equivalent", 200, 0.5), limits=small) == (None, False)
    found = pick(table(variant("int8", "equivalent", 110, 7.0)), "net", Champion(max_latency_ms=5))
    assert found.candidates[0].excluded == "slower than 5 ms"
    assert taken(variant("int8", "", reason="failed: no kernel")) == (FLOAT32, True)


def test_what_was_not_timed_is_judged_by_its_size():
    untimed = [variant(FLOAT32, None, 400, None), variant("int8", "equivalent", 110, None)]
    assert pick(table(*untimed), "net", Champion(max_size_mb=None)).take.level == "int8"


def test_the_target_decides_what_is_fast_and_what_runs():
    levels = (
        variant("int4_weights", "equivalent", 60, 0.3),
        variant("int8", "equivalent", 110, 0.5, arena=9000),
    )
    assert taken(*levels) == ("int4_weights", True)
    assert taken(*levels, limits=Champion(target="web", max_size_mb=None)) == ("int8", True)
    assert taken(*levels, limits=Champion(target="micro", max_size_mb=None)) == ("int8", True)


def test_of_models_the_best_is_taken_and_a_cheaper_one_only_where_it_is_equivalent():
    good = [
        variant(FLOAT32, None, 400, 2.0, "good", 5.0),
        variant("int8", "equivalent", 110, 1.0, "good", 5.0),
    ]
    fast = [variant(FLOAT32, None, 90, 0.5, "fast", 5.1), variant("int8", "equivalent", 30, 0.2, "fast", 5.1)]
    assert choose(table(*good, *fast), "age", ANY).take.name == "good/int8"
    equal = [Row("fast", "int8", "age_mae", "utkface", "against best", "good", verdict="equivalent")]
    assert choose(table(*good, *fast, equal), "age", ANY).take.name == "fast/int8"


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    return write_outs(tmp_path_factory.mktemp("outs"))


def test_the_answer_says_what_to_take_why_and_what_the_smallest_costs(outs):
    results = Table.load(outs.root)
    assert tasks(results) == ["age", "gender", "expression"]
    told = lines(choose(results, "age", ANY))
    assert told[0].startswith("age: take age_gender/") and "on 240 faces of utkface" in told[0]
    assert any("  smallest: age_gender/int8, 331 kB: age MAE (years) +" in line for line in told)
    none = lines(choose(results, "age", Champion(max_size_mb=0.01)))
    assert none == ["age: no variant keeps within the limits"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_a_choice_cuts_no_name_and_tells_no_tensor(width):
    failed = variant(
        "qat_int8", "", model="expression_fer2013", reason="failed: tensor age/pool;1 is 2; see log"
    )
    model = [variant(level, "cannot tell", model="expression_fer2013") for level in (FLOAT32, "dynamic_int8")]
    console = Console(width=width, file=StringIO())
    print_choice(choose(table(*model, failed), "age", ANY), console)
    told = console.file.getvalue()
    assert "expression_fer2013/dynamic_int8" in told and "…" not in told and "age/pool" not in told
    assert max(map(len, told[told.index("───") :].splitlines())) <= width


def test_the_advice_on_a_model_names_the_smallest_with_all_that_it_costs(outs):
    results = Table.load(outs.root)
    told = advice(pick(results, "age_gender", ANY))
    assert told.startswith("Take `") and "Smallest: `int8`, 331 kB: age MAE (years) +" in told
    assert "; gender accuracy (%) " in told
    none = pick(results, "age_gender", Champion(max_size_mb=0.01))
    assert advice(none) == "No level keeps within the limits."


def test_another_metric_may_be_asked_for(outs):
    results = Table.load(outs.root)
    for metric in ("macro_f1", "gender_macro_f1", "utkface.gender_macro_f1"):
        assert choose(results, "gender", ANY, metric).take.mains[0].name == "utkface.gender_macro_f1"
    for unknown in ("beauty", "utkface.n", "size_bytes"):
        with pytest.raises(PocketfaceError, match="there are, for gender, photos"):
            choose(results, "gender", ANY, unknown)
    with pytest.raises(PocketfaceError, match=r"--task beauty: .*age, gender, expression"):
        choose(results, "beauty", ANY)


def test_limits_are_read_with_their_units():
    champion = Study.model_validate(STUDY).champion
    assert limits_of(champion, None, None) == champion
    read = limits_of(champion, "500 kB", "0.5s")
    assert (read.max_size_mb, read.max_latency_ms) == (0.5, 500)
    assert limits_of(champion, "any", "ANY") == ANY
    for wrong in ("5", "MB", "-1MB", "0MB", "5ms", "1e3kB"):
        with pytest.raises(PocketfaceError, match="--max-size"):
            limits_of(champion, wrong, None)


def test_the_command_answers_and_ends_with_status_1_where_nothing_fits(outs, monkeypatch):
    monkeypatch.chdir(outs.root)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["choose", *arguments])

    found = run("--task", "age", "--max-size", "1MB", "--max-latency", "5ms")
    assert found.exit_code == 0 and found.output.startswith("age: take age_gender/"), found.output
    assert "larger than 1 MB" in found.output
    assert run("--task", "gender", "--max-size", "10kB").exit_code == 1
    assert run("--task", "beauty").exit_code == 2
    assert run("--from", str(outs.root / "results/results.parquet"), "--max-latency", "any").exit_code == 0
    Table(tuple(variant("int8", None, reason="no kernel"))).write(outs.root / "none.parquet")
    assert "no variant was measured" in run("--from", str(outs.root / "none.parquet")).output


def test_a_cheaper_model_must_be_equivalent_in_the_task_itself():
    good = [
        variant(FLOAT32, None, 400, 2.0, "good", 5.0),
        variant("int8", "equivalent", 110, 1.0, "good", 5.0),
    ]
    fast = [variant(FLOAT32, None, 90, 0.5, "fast", 9.0), variant("int8", "equivalent", 30, 0.2, "fast", 9.0)]
    other = [Row("fast", "int8", "gender_accuracy", "utkface", "against best", "good", verdict="equivalent")]
    assert choose(table(*good, *fast, other), "age", ANY).take.name == "good/int8"
