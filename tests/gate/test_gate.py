"""The gate finds what was planted, names the stage, and lets chance and other machines pass."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml

from fake_outs import STUDY, Outs, write_outs, write_results, write_timing
from pocketface.cards import VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.gate import Incomparable, NoBaseline, answers, check, check_tables, update
from pocketface.gate.baseline import Baseline, Facts, Rules
from pocketface.gate.compare import _file, compare
from pocketface.results.table import RESULTS
from pocketface.study import Study

FACES = 400
AGE_GENDER = {name: value for name, value in STUDY["models"]["age_gender"].items() if name != "training"}
FIXED = {
    "models": {"expression": STUDY["models"]["expression"]},
    "fetched": {"age_gender": AGE_GENDER | {"weights": "weights/age_gender"}},
}
"""The study with one model whose weights are published and one that trains."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Iterator[Path]:
    """The outs of a study, and their baseline; without measures of groups, which the gate takes itself."""
    patched = pytest.MonkeyPatch()
    patched.setattr("pocketface.results.measure.members", lambda table, by: {})
    outs = write_outs(tmp_path_factory.mktemp("outs"), STUDY | FIXED, FACES)
    assert update(outs.study, outs.root, lambda told: None).passed
    yield outs.root
    patched.undo()


@pytest.fixture
def outs(measured, tmp_path) -> Outs:
    shutil.copytree(measured, tmp_path / "copy")
    return Outs(Study.model_validate(STUDY | FIXED), tmp_path / "copy")


Change = Callable[[pd.DataFrame], pd.DataFrame]


def planted(outs: Outs, model: str, levels: list[str], change: Change, dataset: str | None = None) -> None:
    """Changes what variants answered on a dataset, and measures again."""
    for level in levels:
        path = outs.root / "evaluation" / model / level / "predictions.parquet"
        table = pd.read_parquet(path)
        chosen = table["dataset"] == dataset if dataset else pd.Series(True, table.index)
        pd.concat([change(table[chosen].copy()), table[~chosen]]).to_parquet(path, index=False)
    write_results(outs)


def card(outs: Outs, model: str, level: str, **facts: object) -> None:
    folder = outs.root / "variants" / model / level
    write_card(folder, read_card(folder, VariantCard).model_copy(update=facts))


def ruled(outs: Outs, rules: str) -> Path:
    """Gives the baseline these rules."""
    path = outs.root / "baselines/tiny.yaml"
    path.write_text(path.read_text().replace("rules: {}", f"rules: {rules}"))
    return path


def rules_of(wrong) -> set[str]:
    return {finding.rule for finding in wrong}


ALL = ["float32", "float16", "int8"]


def test_what_did_not_change_passes(outs):
    verdict = check(outs.study, outs.root)
    assert verdict.passed, verdict.text()
    assert verdict.text() == f"check: {verdict.summary()}" and "pass" in verdict.summary()


def swapped_gender(share: float) -> Change:
    """Some answers turned round, every n-th."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        flipped = table["gender_pred"].map({"male": "female", "female": "male"})
        kept = np.arange(len(table)) % round(1 / share) != 0
        return table.assign(gender_pred=table["gender_pred"].where(kept, flipped))

    return change


def test_published_weights_may_not_answer_otherwise(outs):
    planted(outs, "age_gender", ["int8"], swapped_gender(0.05), "utkface")
    verdict = check(outs.study, outs.root)
    assert verdict.look_at == "evaluate", "its file is the same"
    assert "moved gender" in rules_of(verdict.wrong)
    assert {finding.where for finding in verdict.wrong} == {"age_gender/int8"}


def test_a_face_or_two_that_kernels_decide_otherwise_pass(outs):
    planted(outs, "age_gender", ALL, swapped_gender(0.005), "utkface")
    assert check(outs.study, outs.root).passed


def test_a_level_that_was_made_badly_is_found_though_the_model_trains(outs):
    worse = lambda t: t.assign(expression_pred=np.roll(t["expression_pred"], 1))  # noqa: E731
    card(outs, "expression", "float16", sha256="0" * 64)
    planted(outs, "expression", ["float16"], worse)
    verdict = check(outs.study, outs.root)
    assert verdict.look_at == "convert" and "agreement expression" in rules_of(verdict.wrong)


def test_another_training_of_like_quality_passes_and_a_bad_one_does_not(outs):
    def otherwise(share: float) -> Change:
        def change(table: pd.DataFrame) -> pd.DataFrame:
            chosen = np.arange(len(table)) % round(1 / share) == 0
            return table.assign(expression_pred=table["expression_pred"].where(~chosen, "fear"))

        return change

    (outs.root / "models/expression/model.weights.h5").write_bytes(b"of another training")
    for level, digit in (("float32", "1"), ("float16", "2")):
        card(outs, "expression", level, sha256=digit * 64)
    planted(outs, "expression", ["float32", "float16"], otherwise(0.1))
    verdict = check(outs.study, outs.root)
    assert verdict.passed, verdict.text()
    planted(outs, "expression", ["float32", "float16"], otherwise(1.0))
    verdict = check(outs.study, outs.root)
    assert verdict.look_at == "train" and "fer2013 expression_accuracy" in rules_of(verdict.wrong)


def test_faces_are_named_first(outs):
    def shifted(table: pd.DataFrame) -> pd.DataFrame:
        looks = [[*look[:5], 3.0, -4.0, *look[7:]] for look in table["look"]]
        boxes = [[left + 3, top, right + 3, bottom] for left, top, right, bottom in table["box"]]
        new = {"pixels": table["pixels"] + "x", "crop": table["crop"] + "x", "box": boxes, "look": looks}
        return swapped_gender(0.1)(table.assign(**new))

    planted(outs, "age_gender", ALL, shifted, "utkface")
    verdict = check(outs.study, outs.root)
    assert verdict.look_at == "crop_faces" and len(verdict.wrong) == 1, (
        "answers of other faces are not compared"
    )
    assert "400 of 400 faces look otherwise" in verdict.text()
    assert "shifted by +7.4% of its side to the right, +0.0% down" in verdict.text()
    assert "boxes moved by 1.5 px" in verdict.text()


def test_rounding_of_pixels_is_no_change(outs):
    planted(outs, "age_gender", ALL, lambda t: t.assign(pixels=t["pixels"] + "x"))
    assert check(outs.study, outs.root).passed


def test_faces_that_vanish_double_or_change_their_label(outs):
    planted(outs, "age_gender", ALL, lambda t: t.iloc[40:], "utkface")
    assert rules_of(check(outs.study, outs.root).wrong) == {"faces"}
    planted(outs, "age_gender", ALL, lambda t: t.assign(pixels=t["pixels"].iloc[0]), "photos")
    assert "doubles" in rules_of(check(outs.study, outs.root).wrong)
    planted(outs, "age_gender", ALL, lambda t: t.assign(gender=np.roll(t["gender"], 1)), "photos")
    assert "labels" in rules_of(check(outs.study, outs.root).wrong)


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"size_bytes": 400_000}, "size"),
        ({"operators": {"CONV_2D": 3}}, "operators"),
        ({"weight_dtypes": {"FLOAT32": 9}}, "dtypes"),
        ({"min_runtime": "2.13.0"}, "oldest runtime"),
        ({"calibration_faces": 5, "calibration_sha256": "ab"}, "calibration"),
        ({"per_channel": False}, "per_channel"),
    ],
)
def test_a_files_facts_are_compared(outs, facts, rule):
    card(outs, "age_gender", "int8", **facts)
    write_results(outs)
    verdict = check(outs.study, outs.root)
    assert rules_of(verdict.wrong) == {rule} and verdict.look_at == "convert"


def test_the_ratio_to_float32s_time_is_compared_where_it_is_asked_for(outs):
    write_timing("age_gender", "int8", outs.root, ratio=0.9)
    assert check(outs.study, outs.root).passed, "nothing is asked"
    ruled(outs, "{latency: 0.2}")
    assert rules_of(check(outs.study, outs.root).wrong) == {"latency"}, "the baseline has no ratio yet"
    assert update(outs.study, outs.root).passed
    write_timing("age_gender", "int8", outs.root, ratio=1.0)
    assert check(outs.study, outs.root).passed
    write_timing("age_gender", "int8", outs.root, ratio=1.1)
    (slower,) = check(outs.study, outs.root).wrong
    assert slower.stage == "benchmark"
    assert str(slower) == "age_gender/int8: takes 1.1 of float32's time, took 0.9; allowed: 20% more"


def test_a_variant_that_fails_or_is_gone_is_named(outs):
    card(outs, "age_gender", "int8", status="failed", reason="truncated", sha256=None, size_bytes=None)
    write_results(outs)
    verdict = check(outs.study, outs.root)
    assert "age_gender/int8: was ok, is failed: truncated" in verdict.text() and verdict.look_at == "convert"


def test_a_constant_answer_is_no_model_and_limits_hold(outs):
    planted(outs, "expression", ["float32", "float16"], lambda t: t.assign(expression_pred="angry"))
    assert "constant baseline" in rules_of(check(outs.study, outs.root).wrong)
    ceilings = "{int8/utkface.age_mae: 1, int8/size_bytes: 9}"
    ruled(outs, f"{{floors: {{utkface.gender_accuracy: 0.999, no.such: 1}}, ceilings: {ceilings}}}")
    found = rules_of(check(outs.study, outs.root).wrong)
    assert {"utkface.gender_accuracy at least", "utkface.age_mae at most"} <= found
    assert {"size_bytes at most", "no.such limit"} <= found


def test_an_update_says_what_it_accepts_and_keeps_the_rules(outs):
    path = ruled(outs, "\n  moved: 0.5 # we know why")
    planted(outs, "age_gender", ["int8"], swapped_gender(1.0), "utkface")
    answered = pd.read_parquet(path.with_suffix("") / "age_gender.parquet")
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        now = pd.read_parquet(path.with_suffix("") / "age_gender.parquet")
        assert now.equals(answered), "it is said before anything is written"

    found = check(outs.study, outs.root).text()
    assert "answers to gender moved" in found
    assert update(outs.study, outs.root, tell).passed and told == [found], "the same words"
    assert "moved: 0.5 # we know why" in path.read_text()
    assert check(outs.study, outs.root).passed


def test_rules_below_the_variants_are_kept(outs):
    path = ruled(outs, "\n  moved: 0.5")
    rules, variants = path.read_text().split("\nvariants:\n")
    path.write_text(f"variants:\n{variants.rstrip()}\n{rules[rules.index('rules:') :]}\n")
    assert update(outs.study, outs.root).passed
    assert Baseline.read("tiny", outs.root).rules.moved == 0.5


def test_a_baseline_of_an_earlier_release_is_taken_over(outs):
    path = outs.root / "baselines/tiny.yaml"
    old = {"rules": {"age_mae": {"tolerance": 0.1}, "utkface.age_mae": {"ceiling": 7.5}}, "models": {}}
    path.write_text(yaml.safe_dump(old))
    with pytest.raises(NoBaseline, match=r"earlier release, without answers; `pocketface check --update`"):
        check(outs.study, outs.root)
    told: list[str] = []
    assert update(outs.study, outs.root, told.append).passed
    assert told == ["baselines/tiny.yaml: the first with answers, of 6 variants"]
    assert Baseline.read("tiny", outs.root).rules.ceilings == {"utkface.age_mae": 7.5}


def test_a_first_baseline_is_asked_for(outs):
    (outs.root / "baselines/tiny.yaml").unlink()
    with pytest.raises(NoBaseline, match=r"tiny\.yaml: no baseline for study tiny; `pocketface check"):
        check(outs.study, outs.root)
    (outs.root / RESULTS).unlink()
    with pytest.raises(PocketfaceError, match=r"results\.parquet: no such file"):
        update(outs.study, outs.root)
    assert not (outs.root / "baselines/tiny.yaml").exists()


def test_a_baseline_that_cannot_be_written_is_told(outs):
    shutil.rmtree(outs.root / "baselines")
    (outs.root / "baselines").touch()
    with pytest.raises(PocketfaceError, match=r"baselines/tiny\.yaml: cannot be written \("):
        update(outs.study, outs.root)


def test_it_needs_no_extra_and_starts_fast():
    code = "import sys, pocketface.gate; print({'matplotlib', 'scipy.stats', 'tensorflow'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lost_answers(path: Path) -> None:
    table = pd.read_parquet(path)
    table.assign(answer=table["answer"].where(table["face"] != table["face"].iloc[0], "nan")).to_parquet(path)


def whole_text(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text)


def text(old: str, new: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        (
            "tiny.yaml",
            half,
            r"tiny\.yaml: (not a baseline|.* has not both facts here and answers in|variants)",
        ),
        ("tiny.yaml", whole_text("- a\n- b\n"), r"tiny\.yaml: not a baseline \(not a mapping"),
        ("tiny.yaml", text("rules: {}", "rules: {move: 1}"), r"tiny\.yaml: rules\.move: "),
        ("tiny.yaml", text("variants:", "levels:"), r"tiny\.yaml: levels: "),
        ("tiny.yaml", text("size_bytes:", "bytes:"), r"tiny\.yaml: variants\.\S+\.bytes: "),
        ("tiny/age_gender.parquet", half, r"age_gender\.parquet: not a table of answers"),
        (
            "tiny/age_gender.parquet",
            lost_answers,
            r"age_gender\.parquet: face '\w+' has no answer to \w+: nan",
        ),
        ("tiny/age_gender.parquet", Path.unlink, r"age_gender/\w+ has not both facts here and answers in"),
        ("tiny", shutil.rmtree, r"baselines/tiny: no answers in it; restore it from git"),
    ],
)
def test_a_damaged_baseline_is_told_and_nothing_is_written(outs, name, damage, told):
    damage(outs.root / "baselines" / name)
    files = {path: path.read_bytes() for path in outs.root.rglob("*") if path.is_file()}
    for command in (check, update):
        with pytest.raises(PocketfaceError, match=told):
            command(outs.study, outs.root)
    assert {path: path.read_bytes() for path in outs.root.rglob("*") if path.is_file()} == files


def test_a_study_that_answers_what_is_no_number_is_told(outs):
    path = outs.root / "evaluation/age_gender/int8/predictions.parquet"
    given = pd.read_parquet(path)
    given.assign(age_pred=given["age_pred"].where(given.index > 0)).to_parquet(path, index=False)
    told = r"evaluation/age_gender/int8: face \S+ has no answer to age"
    for command in (check, update):
        with pytest.raises(PocketfaceError, match=told):
            command(outs.study, outs.root)


def table(n: int = 300, wrong: int = 30) -> pd.DataFrame:
    """Answers of no pipeline of ours."""
    truth = np.where(np.arange(n) % 2, "cat", "dog")
    answer = np.where(np.arange(n) < wrong, "cow", truth)
    return pd.DataFrame({"face": range(n), "head": "animal", "truth": truth, "answer": answer})


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_tables_of_any_origin_are_compared(tmp_path, suffix):
    def written(name: str, frame: pd.DataFrame) -> Path:
        path = tmp_path / f"{name}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        return path

    was = written("was", table())
    assert check_tables(was, written("same", table())).passed
    worse = check_tables(was, written("worse", table(wrong=45)))
    assert {"moved animal", "animal_accuracy"} <= rules_of(worse.wrong)
    assert "animal_accuracy 0.85, was 0.9 on 300 faces: worse; allowed: 0.005" in worse.text()
    for damage, told in (
        (table().drop(columns="truth"), "has no column 'truth'; it needs face, head, truth, answer"),
        (table().assign(answer=None), "has no answer to animal"),
        (table().assign(answer="nan"), "has no answer to animal"),
        (table().assign(answer=np.inf), "has no answer to animal: inf"),
        (table().assign(probability="much"), "face '0' has probability 'much', not 0..1"),
        (table().assign(answer="emu"), "answers 'emu', a class that the baseline does not know"),
        (table().assign(face=1), "answers animal twice"),
        (table().assign(head=None), "a row names no face, or no head"),
        (table().assign(look=0.5), "a look has 13 numbers"),
        (table().assign(look="dark"), "a look has 13 numbers"),
        (table().assign(box="1 2 3"), "a box has 4 numbers"),
        (table().assign(face=range(1000, 1300)), "are they of the same faces?"),
    ):
        with pytest.raises(PocketfaceError, match=told.replace("?", r"\?")):
            check_tables(was, written("bad", damage))
    odd = written("odd", table().assign(model="x\x1b[31m"))
    assert "\x1b" not in check_tables(odd, written("odder", table(wrong=45).assign(model="x\x1b[31m"))).text()
    with pytest.raises(PocketfaceError, match=r"gone\.csv: no such file"):
        answers.read(tmp_path / "gone.csv")
    (tmp_path / "half.parquet").write_bytes((tmp_path / was.name).read_bytes()[:50])
    with pytest.raises(PocketfaceError, match=r"half\.parquet: not a table of answers"):
        answers.read(tmp_path / "half.parquet")


@pytest.mark.parametrize(("older", "every", "found"), [(0.4, 1, True), (0.0, 1, False), (8, 200, False)])
def test_numbers_that_lose_are_found_and_chance_is_not(tmp_path, older, every, found):
    random = np.random.default_rng(1)
    was = table().assign(head="age", truth=40, answer=40 + np.abs(random.normal(0, 6, 300)).round(2))
    moved = np.where(np.arange(300) % every == 0, older, 0) + random.normal(0, 0.5, 300)
    was.to_parquet(tmp_path / "was.parquet")
    was.assign(answer=was["answer"] + moved.round(2)).to_parquet(tmp_path / "now.parquet")
    wrong = check_tables(tmp_path / "was.parquet", tmp_path / "now.parquet").wrong
    assert ("age_mae" in rules_of(wrong)) is found


def test_it_is_told_as_junit_markdown_and_annotations(outs):
    planted(outs, "age_gender", ["int8"], swapped_gender(1.0), "utkface")
    verdict = check(outs.study, outs.root)
    first, _, detail = verdict.text().partition("check: in detail\n")
    assert f"(and {len(verdict.wrong) - 1} more)" in first and detail.count("\n") == len(verdict.wrong)
    assert detail.endswith("check: if the change is meant: `pocketface check --update`")
    suites = ElementTree.fromstring(verdict.junit())
    assert len(list(suites.iter("testcase"))) == len(verdict.findings)
    wrong = [case for case in suites.iter("testcase") if len(case)]
    assert len(wrong) == len(verdict.wrong) and wrong[0].get("classname") == "tiny.age_gender.int8"
    assert sum(int(suite.get("failures")) for suite in suites) == len(verdict.wrong)
    told = verdict.markdown()
    assert told.startswith("### The gate **fails**") and "Look at stage `evaluate` first." in told
    assert "| evaluate | age_gender/int8 | moved gender |" in told
    assert verdict.annotations().startswith("::error title=pocketface check: evaluate::age_gender/int8: ")


def test_a_group_that_loses_is_named_though_the_whole_does_not(outs):
    def worse_for_black_faces(table: pd.DataFrame) -> pd.DataFrame:
        chosen = table["race"] == "black"
        return table.assign(age_pred=table["age_pred"].where(~chosen, table["age_pred"] + 12))

    (outs.root / "models/age_gender/model.weights.h5").write_bytes(b"of another release")
    ruled(outs, "{moved: 1, drift: {years: 9, share: 1}}")
    planted(outs, "age_gender", ALL, worse_for_black_faces, "utkface")
    verdict = check(outs.study, outs.root)
    assert "utkface age_mae of groups" in rules_of(verdict.wrong)
    assert "utkface age_mae (race=black)" in verdict.text() and "; all: utkface age_mae" in verdict.text()


def test_stages_are_told_apart_by_what_changed_first(outs):
    planted(outs, "age_gender", ALL, swapped_gender(1.0), "utkface")
    assert check(outs.study, outs.root).look_at == "evaluate"
    card(outs, "age_gender", "float32", sha256="1" * 64)
    assert check(outs.study, outs.root).look_at == "export"
    (outs.root / "models/age_gender/model.weights.h5").write_bytes(b"others")
    assert check(outs.study, outs.root).look_at == "fetch_weights"

    def other(table: pd.DataFrame) -> pd.DataFrame:
        new = {column: "x" + table[column] for column in ("source_sha", "pixels")}
        return table.assign(**new, look=[[0.0] * 13] * len(table))

    planted(outs, "age_gender", ALL, other, "photos")
    assert check(outs.study, outs.root).look_at == "fetch_data"


def test_drift_is_found_though_no_answer_moved(outs):
    surer = lambda t: t.assign(**(t.filter(like="gender_prob") ** 0.8))  # noqa: E731
    planted(outs, "age_gender", ["int8"], surer)
    assert rules_of(check(outs.study, outs.root).wrong) == {"drift gender"}


def test_other_faces_and_new_classes_cannot_be_compared_but_accepted(outs):
    planted(outs, "age_gender", ALL, lambda t: t.assign(gender_pred="other"))
    with pytest.raises(Incomparable, match=r"tiny\.yaml: what was measured answers 'other', a class that"):
        check(outs.study, outs.root)
    for model, levels in {"age_gender": ALL, "expression": ALL[:2]}.items():
        planted(outs, model, levels, lambda t: t.assign(image="x" + t["image"]))
    with pytest.raises(Incomparable, match="are they of the same faces"):
        check(outs.study, outs.root)
    told: list[str] = []
    assert update(outs.study, outs.root, told.append).passed
    assert "are they of the same faces" in told[0]
    assert check(outs.study, outs.root).passed


def test_a_truth_is_in_the_words_of_the_answers():
    own, ours = {"mask": ["no", "yes"], "mask_pred": "no"}, {"Bald": [0, 1], "Bald_pred": "no"}
    predictions = pd.DataFrame({"image": ["a", "b"], "dataset": "mine"} | own | ours)
    told = answers.of_predictions("model", "int8", predictions)
    assert told["truth"].tolist() == ["no", "yes"] * 2


def test_names_of_pictures_do_not_leave_and_bytes_repeat(outs):
    content = (outs.root / "baselines/tiny/age_gender.parquet").read_bytes()
    assert b"12.jpg" not in content
    update(outs.study, outs.root)
    assert (outs.root / "baselines/tiny/age_gender.parquet").read_bytes() == content


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("baselines/*.yaml")), ids=lambda p: p.stem
)
def test_every_baseline_of_the_repository_is_read_or_says_that_it_is_earlier(path):
    try:
        baseline = Baseline.read(path.stem, path.parents[1])
        assert baseline.variants
        rules = baseline.rules
    except NoBaseline as earlier:
        assert f"{path.name}: a baseline of an earlier release, without answers" in str(earlier)
        rules = earlier.rules
    told = yaml.safe_load(path.read_text())["rules"]
    limits = {
        name for name, rule in told.items() if isinstance(rule, dict) and {"floor", "ceiling"} & rule.keys()
    }
    assert limits <= {*rules.floors, *rules.ceilings}


def test_where_pixels_are_rounded_otherwise_faces_to_calibrate_on_are_only_counted(outs):
    for level in ALL:
        card(outs, "age_gender", level, calibration_faces=100, calibration_sha256="a" * 64)
    write_results(outs)
    update(outs.study, outs.root)
    card(outs, "age_gender", "int8", calibration_sha256="b" * 64)
    write_results(outs)
    assert rules_of(check(outs.study, outs.root).wrong) == {"calibration"}
    planted(outs, "age_gender", ALL, lambda table: table.assign(pixels=table["pixels"] + "x"))
    assert check(outs.study, outs.root).passed
    card(outs, "age_gender", "int8", calibration_faces=5)
    write_results(outs)
    assert rules_of(check(outs.study, outs.root).wrong) == {"calibration"}


@pytest.mark.parametrize("labels", [("no", "yes"), ("0", "1")])
def test_classes_that_are_called_by_numbers_are_classes(labels):
    def answered(wrong: int) -> Baseline:
        said = np.array(labels, object)[(np.arange(300) + (np.arange(300) < wrong)) % 2]
        own = {"image": [*map(str, range(300))], "dataset": "mine", "mask_pred": said}
        predictions = pd.DataFrame(own | {"mask": np.array(labels, object)[np.arange(300) % 2]})
        facts = {"mine/float32": Facts(sha256="a", weights="w", heads={"mask": list(labels)})}
        return Baseline(Rules(), facts, answers.of_predictions("mine", "float32", predictions))

    wrong = [one for one in compare(answered(0), answered(25), frozenset()) if not one.ok]
    assert rules_of(wrong) == {"moved mask", "mine mask_accuracy"}


@pytest.mark.parametrize("column", ["model", "level", "dataset"])
def test_an_empty_cell_of_a_model_a_level_or_a_dataset_leaves_nothing_out(tmp_path, column):
    blank = {"model": "m", "level": "l", "dataset": "d", column: None}
    for name, wrong in (("was", 30), ("now", 45)):
        table(wrong=wrong).assign(**blank).to_csv(tmp_path / f"{name}.csv", index=False)
    found = check_tables(tmp_path / "was.csv", tmp_path / "now.csv")
    assert any(rule.startswith("moved") for rule in rules_of(found.wrong)) and len(found.findings) == 6


def test_none_is_a_word(tmp_path):
    table().assign(head="glasses", truth="None", answer="None").to_csv(tmp_path / "was.csv", index=False)
    assert check_tables(tmp_path / "was.csv", tmp_path / "was.csv").passed


def test_a_head_that_is_new_is_named():
    was, now = Facts(heads={"age": []}), Facts(heads={"age": [], "gender": ["male", "female"]})
    wrong = [one.rule for one in _file("m/int8", was, now, Rules(), "train", True) if not one.ok]
    assert wrong == ["classes gender"]
