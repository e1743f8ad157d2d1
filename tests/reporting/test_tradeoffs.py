from dataclasses import replace

import pytest

from fake_outs import write_outs
from pocketface.reporting.changes import compare, effects
from pocketface.reporting.results import Results, all_predictions
from pocketface.reporting.tradeoffs import FASTEST, SMALLEST, orders


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    outs = write_outs(tmp_path_factory.mktemp("outs"))
    return Results.load(outs.study, outs.root)


@pytest.fixture(scope="module")
def found(results):
    return compare(results, all_predictions(results))


def test_levels_that_lose_come_after_those_that_do_not(results, found):
    """int8 is the smallest, and far worse in both figures."""
    assert orders(results, found, "age_gender")[SMALLEST] == ["float16", "float32", "int8"]
    assert orders(results, found, "age_gender")["smallest"] == ["int8", "float16", "float32"]
    assert orders(results, found, "age_gender")["best age MAE (years)"][-1] == "int8"
    assert orders(results, found, "age_gender")["as in the study"] == ["float32", "float16", "int8"]


def test_a_level_that_fails_comes_last_in_every_order(results, found):
    assert {order[-1] for order in orders(results, found, "expression").values()} == {"int8"}


def test_without_timings_nothing_is_fastest(results, found):
    untimed = replace(results, variants=tuple(replace(v, timing=None) for v in results.variants))
    assert FASTEST in orders(results, found, "age_gender")
    assert FASTEST not in orders(untimed, found, "age_gender")


def test_effects_are_of_the_levels_that_run_and_none_of_float32(results, found):
    levels = {key: [effect.level for effect in column] for key, column in effects(results, found).items()}
    assert levels == {
        ("age_gender", "utkface.age_mae"): ["float16", "int8"],
        ("age_gender", "utkface.gender_accuracy"): ["float16", "int8"],
        ("expression", "fer2013.expression_accuracy"): ["float16"],
    }
