import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image
from pillow_heif import from_pillow
from typer.testing import CliRunner, Result

import drawn_datasets as drawn
from colour_variants import paint, variant_folder
from fake_outs import STUDY, Outs, write_outs, write_results, write_sources
from pocketface.cards import MODEL_FILE
from pocketface.cli import app
from pocketface.cropping.picture import decode
from pocketface.evaluation.draw import BOX
from pocketface.results.table import RESULTS, Row, Table

ANN, BOB = drawn.people(2)
PHOTO, WALL = drawn.jpeg(drawn.scene(ANN)), drawn.jpeg(drawn.scene(width=120, height=100))
REPOSITORY = Path(__file__).parents[1]


def run(*arguments: object, status: int = 0) -> Result:
    """Runs a command, which must end with the status."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def colour(colour_model, tmp_path_factory) -> Path:
    """The colour model with its card."""
    return variant_folder(tmp_path_factory.mktemp("variants") / "colour", colour_model)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a photograph of Ann, made the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann.jpg").write_bytes(PHOTO)
    return tmp_path


@pytest.fixture
def labels(tmp_path) -> Path:
    """Four pictures; one of them is damaged and one is missing."""
    paint(tmp_path / "faces/a.png", 51, 0, 0)
    paint(tmp_path / "faces/b.png", 178, 255, 255)
    (tmp_path / "faces/c.png").write_bytes(b"not a picture")
    path = tmp_path / "labels.csv"
    path.write_text(
        "path,age,age_group,age_band,gender,race,expression\n"
        "faces/a.png,24,young,20-29,male,white,happy\n"
        "faces/b.png,80,elderly,more than 70,male,black,sad\n"
        "faces/c.png,1,young,0-2,male,white,sad\n"
        "faces/d.png,1,young,0-2,male,white,sad\n"
    )
    return path


def test_evaluate_writes_every_figure(colour_model, labels, tmp_path):
    out = tmp_path / "new/out.json"
    result = run("evaluate", "--model", colour_model, "--data", labels, "--json", out)
    found = json.loads(out.read_text())
    assert found["n"] == 2
    assert found["rejected"] == [
        {"path": "faces/c.png", "reason": "unsupported"},
        {"path": "faces/d.png", "reason": "no_such_file"},
    ]
    metrics = found["metrics"]
    assert metrics["age_mae"] == pytest.approx((4 + 80 - 178 / 2.55) / 2, rel=1e-3)
    assert metrics["age_cs5"] == 0.5
    assert metrics["age_group_accuracy"] == 1.0
    assert metrics["age_band_accuracy"] == 0.5
    assert metrics["gender_accuracy"] == 0.5
    assert metrics["expression_accuracy"] == 1.0, "of happy and sad, though neutral is more probable"
    assert found["by_group"]["race"]["white"]["n"] == 1
    assert found["by_group"]["race"]["white"]["gender_accuracy"] == 1.0
    assert "gender_accuracy" in result.output and "95%: " in result.output
    told = [line.split() for line in result.stdout.splitlines()]
    assert ["rejected:", "no_such_file", "1", "faces/d.png"] in told


def test_evaluate_names_the_rejected_pictures_but_not_hundreds(colour_model, tmp_path):
    paint(tmp_path / "a.png", 51, 0, 0)
    data = tmp_path / "labels.csv"
    data.write_text("path,age\na.png,24\n" + "".join(f"{n}.png,24\n" for n in range(9)))
    result = run("evaluate", "--model", colour_model, "--data", data)
    assert "9   0.png, 1.png, 2.png and 6 more, see --json" in result.stdout


def test_evaluate_fails_if_no_picture_could_be_answered(colour, tmp_path):
    data, out = tmp_path / "labels.csv", tmp_path / "out.json"
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    data.write_text("path,age\nbad.jpg,3\nfaces/a.jpg,24\nfaces/b.jpg,24\n")
    result = run("evaluate", "--model", colour, "--data", data, "--json", out, status=2)
    assert result.stderr.startswith(f"error: {data}: none of its 3 pictures could be answered; 2 times")
    assert f"no such file, as of {tmp_path / 'faces/a.jpg'} (paths are relative" in result.stderr
    assert not out.exists()


def test_evaluate_reads_fairface_as_it_is_and_says_what_it_groups_by(colour_model, tmp_path):
    for name in ("1", "2"):
        paint(tmp_path / f"val/{name}.png", 51, 0, 0)
    data, out = tmp_path / "fairface_label_val.csv", tmp_path / "out.json"
    data.write_text(
        "file,age,gender,race,service_test,gendr\n"
        "val/1.png,20-29,Male,East Asian,True,x\n"
        "val/2.png,more than 70,Female,Latino_Hispanic,False,y\n"
    )
    result = run("evaluate", "--model", colour_model, "--data", data, "--json", out)
    found = json.loads(out.read_text())
    assert found["metrics"]["age_band_accuracy"] == 0.5
    assert found["by_group"]["race"]["east asian"]["age_band_accuracy"] == 1.0
    assert found["by_group"]["race"]["latino_hispanic"]["age_band_accuracy"] == 0.0
    assert found["by_group"]["service_test"]["True"]["n"] == 1
    assert "its words are groups: service_test\n" in result.stderr
    assert "its words are groups: gendr; did you mean 'gender'?\n" in result.stderr


def test_evaluate_searches_for_faces(colour_model, tmp_path):
    (tmp_path / "ann.jpg").write_bytes(PHOTO)
    (tmp_path / "wall.jpg").write_bytes(WALL)
    data = tmp_path / "labels.csv"
    data.write_text("path,gender\nann.jpg,male\nwall.jpg,male\n")

    def evaluated(*options: str) -> dict[str, Any]:
        out = tmp_path / "out.json"
        run("evaluate", "--model", colour_model, "--data", data, "--json", out, *options)
        return json.loads(out.read_text())

    assert evaluated()["rejected"] == [{"path": "wall.jpg", "reason": "no_face"}]
    assert evaluated("--no-face", "center")["n"] == 2
    assert evaluated("--detect", "none")["n"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,age\na.jpg,x\n", "line 2, column age"),
        ("", "empty"),
    ],
)
def test_evaluate_refuses_labels_it_does_not_understand(colour, tmp_path, content, message):
    data, out = tmp_path / "labels.csv", tmp_path / "out.json"
    data.write_text(content)
    result = run("evaluate", "--model", colour, "--data", data, "--json", out, status=2)
    assert result.stderr.startswith(f"error: {data}")
    assert message in result.stderr
    assert not out.exists()


def test_evaluate_says_what_no_model_answers(colour_model, tmp_path):
    paint(tmp_path / "a.png", 1, 2, 3)
    data = tmp_path / "labels.csv"
    data.write_text("path,Bald,race\na.png,1,white\n")
    result = run("evaluate", "--model", colour_model, "--data", data)
    assert "none of the models answers Bald\n" in result.stderr


def test_evaluate_does_not_write_over_a_folder(colour_model, labels, tmp_path):
    run("evaluate", "--model", colour_model, "--data", labels, "--json", tmp_path, status=2)
    assert labels.exists()


@pytest.mark.parametrize("content", [b"", b"random" * 100, b"\x1c\0\0\0TFL3 cut off"])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_damaged_model_is_an_error(labels, tmp_path, content, command):
    model = tmp_path / "bad.tflite"
    model.write_bytes(content)
    where = [labels.parent / "faces/a.png"] if command == "predict" else ["--data", labels]
    result = run(command, *where, "--model", model, status=2)
    assert result.stderr.startswith(f"error: {model}: not a")


def test_predict_answers_for_every_face_and_goes_on_after_a_bad_picture(colour_model, tmp_path):
    (tmp_path / "in/.hidden").mkdir(parents=True)
    (tmp_path / "in/1.jpg").write_bytes(drawn.jpeg(drawn.scene(ANN, BOB)))
    (tmp_path / "in/2.JPG").write_bytes(b"\xff\xd8\xff no more")
    (tmp_path / "in/notes.txt").write_text("not a picture")
    (tmp_path / "in/.hidden/3.jpg").write_bytes(b"")
    wall = tmp_path / "wall"
    wall.write_bytes(WALL)
    result = run("predict", tmp_path / "in", wall, "--model", colour_model, "--json")
    two, bad, none = json.loads(result.stdout)
    assert two["path"].endswith("in/1.jpg")
    assert two["status"] == "ok"
    assert len(two["faces"]) == 2
    for face in two["faces"]:
        left, top, right, bottom = face["box"]
        assert 0 <= left < right <= 480
        assert 0 <= top < bottom <= 360
        assert 0 <= face["age"] <= 100
        assert face["gender"] in ("male", "female")
        assert 0.5 <= face["gender_probability"] <= 1
        assert face["expression"] == "neutral"
        assert face["expression_probability"] == pytest.approx(0.5)
    assert bad["status"] != "ok"
    assert none == {"path": str(wall), "status": "no_face", "faces": []}


def test_predict_says_it_to_a_person_too(colour_model, here):
    result = run("predict", "ann.jpg", "--model", colour_model)
    assert "ann.jpg: face " in result.stdout
    assert "expression neutral 50%" in result.stdout


def test_predict_says_of_a_bare_file_that_nothing_could_be_checked(colour, colour_model, tmp_path):
    paint(tmp_path / "a.png", 1, 2, 3)
    note = f"note: {colour_model}: nothing could be checked: no card"
    assert note in run("predict", tmp_path / "a.png", "--model", colour_model).stderr
    for model in (colour, colour / MODEL_FILE):
        assert "could be checked" not in run("predict", tmp_path / "a.png", "--model", model).stderr


def test_a_card_that_lies_gets_no_answer(colour, tmp_path):
    paint(tmp_path / "a.png", 1, 2, 3)
    card = colour / "card.json"
    card.write_text(card.read_text().replace('"male"', '"x"').replace('"female"', '"male"'))
    result = run("predict", tmp_path / "a.png", "--model", colour, status=2)
    assert result.stdout == ""
    assert result.stderr.startswith(
        f"error: {colour / MODEL_FILE}: says otherwise of its outputs than card.json"
    )
    assert result.stderr.count("\n") == 1


def test_a_name_prints_no_line_of_its_own(colour, tmp_path):
    path = tmp_path / "a\nb.png: female (95%)\x1b[2K.png"
    paint(path, 1, 2, 3)
    told = run("predict", path, "--model", colour)
    assert told.stdout.splitlines() == [f"{tmp_path}/a\\nb.png: female (95%)\\x1b[2K.png: no face was found"]
    missing = run("predict", path, "--model", f"{tmp_path}/x\x1b[2K", status=2)
    assert "\x1b" not in missing.stderr


def test_predict_draws_what_it_says(colour_model, tmp_path):
    (tmp_path / "in").mkdir()
    for name, content in (("ann", PHOTO), ("wall", WALL), ("bad", b"\xff\xd8\xff no more")):
        (tmp_path / f"in/{name}.jpg").write_bytes(content)
    run("predict", tmp_path / "in/ann.jpg", "--model", colour_model, "--draw", tmp_path / "one.png")
    assert decode((tmp_path / "one.png").read_bytes()).shape[1] == 480
    run("predict", tmp_path / "in", "--model", colour_model, "--draw", tmp_path / "all")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["ann.png", "wall.png"]
    assert (tmp_path / "all/ann.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    refused = run(
        "predict", tmp_path / "in", "--model", colour_model, "--draw", tmp_path / "out.png", status=2
    )
    assert "give a folder" in refused.stderr


def test_predict_counts_what_it_skipped_of_a_folder(colour, tmp_path, monkeypatch):
    monkeypatch.setattr("pocketface.cropping.picture.pillow_heif", None)
    picture = Image.fromarray(drawn.scene(width=120, height=100))
    picture.save(tmp_path / "wall.avif")
    from_pillow(picture).save(tmp_path / "phone.heic")
    (tmp_path / "film.mov").write_bytes(b"")
    result = run("predict", tmp_path, "--model", colour, "--json")
    phone, wall = json.loads(result.stdout)
    assert (wall["status"], phone["status"]) == ("no_face", "needs_heif")
    assert "pocketface[heif]" in phone["detail"]
    terms, skipped = result.stderr.splitlines()
    assert skipped.startswith("note: skipped 2 files: 1 .heic (")
    assert terms.startswith("note: weights have the terms of what they learned from")
    assert Path(terms.rpartition(": ")[2]).read_text().startswith("# Terms of the published weights")
    one = run("predict", tmp_path / "wall.avif", tmp_path / "phone.heic", "--model", colour)
    assert f"phone.heic: {phone['detail']}\n" in one.stdout
    assert "skipped" not in one.stderr


def test_predict_draws_boxes_into_a_reduced_picture(colour_model, here, monkeypatch):
    monkeypatch.setattr("pocketface.cropping.picture.DECODED_SIDE", 240)
    result = run("predict", "ann.jpg", "--model", colour_model, "--json", "--draw", "out.png")
    left, top, right, bottom = json.loads(result.stdout)[0]["faces"][0]["box"]
    assert right - left > 80, "in the file's own pixels"
    boxed = decode(Path("out.png").read_bytes())
    assert boxed.shape[0] > 180, "the answers are below"
    assert tuple(boxed[(top + bottom) // 4, left // 2]) == BOX
    assert tuple(boxed[top // 2, (left + right) // 4]) == BOX


def test_predict_fails_if_no_picture_could_be_read(colour_model, tmp_path):
    result = run("predict", tmp_path / "none.jpg", "--model", colour_model, status=2)
    assert "none.jpg: no such file" in result.stdout
    assert "none of the pictures could be read" in result.stderr
    address = run("predict", "https://example.org/me.jpg", "--model", colour_model, status=2)
    assert "me.jpg: an address, not a file: download the picture" in address.stdout
    empty = run("predict", tmp_path, "--model", colour_model, status=2)
    assert "no pictures in" in empty.stderr


def test_without_a_model_the_published_ones_are_taken(colour_model, here, monkeypatch):
    monkeypatch.setattr("pocketface.published.folder", lambda: here / "weights")
    monkeypatch.setattr("pocketface.published.DEFAULT_MODELS", ("colour",))
    refused = run("predict", "ann.jpg", status=2)
    assert "no published model there; say --model" in refused.stderr
    variant_folder(here / "weights/colour/int8", colour_model, level="int8")
    result = run("predict", "ann.jpg", "--json")
    assert json.loads(result.stdout)[0]["faces"][0]["expression"] == "neutral"


def test_a_pattern_names_the_variants_that_were_made(colour_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "a.png", 51, 0, 0)
    refused = run("predict", "a.png", "--model", "variants/*/int8", status=2)
    assert "dvc repro" in refused.stderr
    variant_folder(tmp_path / "variants/colour/int8", colour_model, level="int8")
    failed = variant_folder(tmp_path / "variants/other/int8", colour_model, status="failed", reason="no")
    (failed / MODEL_FILE).unlink()
    (tmp_path / "labels.csv").write_text("path,age\na.png,20\n")
    run("evaluate", "--model", "variants/*/int8", "--data", "labels.csv", "--json", "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["models"] == {
        "colour/int8": ["age", "expression", "gender"]
    }


def test_models_that_answer_the_same_give_one_answer_and_second_opinions(colour_model, here):
    for name in ("colour", "other"):
        variant_folder(here / f"variants/{name}/int8", colour_model, model=name, level="int8")
    told = run("predict", "ann.jpg", "--model", "variants/*/int8", "--json")
    [face] = json.loads(told.stdout)[0]["faces"]
    [other] = face["second_opinions"]
    assert other["model"] == "other/int8"
    assert {name: face[name] for name in ("age", "gender", "expression")}.items() <= other.items()
    plain = run("predict", "ann.jpg", "--model", "variants/*/int8")
    assert "second opinion of other/int8: age " in plain.stdout
    Path("labels.csv").write_text("path,age\nann.jpg,20\n")
    measured = run("evaluate", "--model", "variants/*/int8", "--data", "labels.csv", "--json", "out.json")
    assert "other/int8 is not measured on age, expression, gender: a model named before it" in measured.stderr
    assert json.loads(Path("out.json").read_text())["models"]["other/int8"] == []


def test_predict_tells_of_names_that_the_output_cannot_encode(colour_model, tmp_path):
    paths = [tmp_path / name for name in ("한국 얼굴.jpg", os.fsdecode(b"\xff.jpg"))]
    for path in paths:
        path.write_bytes(WALL)

    code = "import sys; from pocketface.cli import app\n"
    code += "told = [app([*sys.argv[1:], *more], standalone_mode=False) for more in ([], ['--json'])]\n"
    code += "sys.exit(any(told))"
    command = [sys.executable, "-c", code, "predict", *paths, "--model", colour_model]
    windows = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, env=windows)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    korean, broken, found = done.stdout.split(b"\n", 2)
    assert [row["path"] for row in json.loads(found.decode("ascii"))] == list(map(str, paths))
    assert korean.endswith(b"\\ud55c\\uad6d \\uc5bc\\uad74.jpg: no face was found")
    assert broken.endswith(b"\\udcff.jpg: no face was found")


def test_without_the_extra_every_command_works_or_names_it(here):
    Path("params.yaml").write_text(yaml.safe_dump(STUDY))
    Path("labels.csv").write_text("path,Eyeglasses\nann.jpg,0\n")
    need = [["run"], ["track"], ["publish", "age_gender", "--as", "mine"]]
    need += [["explain", "ann.jpg", "--model", "age_gender"]]
    work = [["predict", "ann.jpg"], ["evaluate", "--model", "attributes", "--data", "labels.csv"]]
    work += [["export", "c", "facenet"]]
    bare = [sys.executable, Path(__file__).with_name("without_extras.py"), json.dumps(need + work)]
    done = subprocess.run(bare, capture_output=True, text=True, check=True)
    for command, (status, _, stderr) in zip(need + work, json.loads(done.stdout), strict=True):
        assert "Traceback" not in stderr, command
        assert status == (2 if command in need else 0), (command, stderr)
        assert ("pip install 'pocketface[pipeline]'" in stderr) == (command in need), (command, stderr)


def test_the_version_is_told():
    assert run("--version").stdout == f"pocketface {version('pocketface')}\n"


def test_published_models_are_named_from_anywhere(here):
    result = run("predict", "ann.jpg", "--model", "attributes", "--model", "expression/int8", "--json")
    assert {"Eyeglasses", "expression"} <= set(json.loads(result.stdout)[0]["faces"][0])
    run("export", "c", "facenet")
    refused = run("predict", "ann.jpg", "--model", "attribute", status=2)
    assert "attribute: no such file or folder, and no published model" in refused.stderr


@pytest.fixture
def checked(tmp_path, monkeypatch) -> Outs:
    """A folder with a study and its outs, made the working directory."""
    monkeypatch.chdir(tmp_path)
    return write_outs(tmp_path, faces=40)


def older(outs: Outs, years: float) -> None:
    """Adds years to every age that int8 answers."""
    path = outs.root / "evaluation/age_gender/int8/predictions.parquet"
    table = pd.read_parquet(path)
    table.assign(age_pred=table["age_pred"] + years).to_parquet(path, index=False)
    write_results(outs)


def test_check_compares_with_the_baseline_and_takes_it_over(checked):
    refused = run("check", status=2)
    assert "no baseline for study tiny; `pocketface check --update` makes one" in refused.stderr
    first = run("check", "--update").stdout
    assert first == "accepts:\nbaselines/tiny.yaml: the first with answers, of 6 variants\n"
    run("check")
    older(checked, 9)
    worse = run("check", "--junit", "new/check.xml", "--markdown", "check.md", status=1)
    assert "look at stage evaluate first" in worse.stdout
    assert "age_gender/int8: 58 of 58 answers to age moved (100.0%); allowed: 1" in worse.stdout
    assert "<failure" in Path("new/check.xml").read_text()
    assert "The gate **fails**" in Path("check.md").read_text()
    accepted = run("check", "--update")
    assert "58 of 58 answers to age moved" in accepted.stdout


def test_a_read_only_checkout_is_checked(checked):
    run("check", "--update")
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path(".dvc").mkdir()
    for empty in (".dvc/config", "dvc.lock"):
        Path(empty).touch()
    read_only = "mount --bind . . && mount -o remount,ro,bind . . && cd $PWD"
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*apart, f"{read_only} && ! touch x"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    code = "from pocketface.cli import app; app()"
    check = f"{read_only} && exec {shlex.quote(sys.executable)} -c '{code}' check"
    done = subprocess.run([*apart, check], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("check: tiny: all ")
    assert not Path(".dvc/tmp").exists()


def test_check_update_does_not_bless_what_breaks_a_limit(checked):
    run("check", "--update")
    baseline = Path("baselines/tiny.yaml")
    baseline.write_text(baseline.read_text().replace("rules: {}", "rules: {ceilings: {utkface.age_mae: 1}}"))
    refused = run("check", "--update", status=1)
    assert "at most 1 is asked" in refused.stdout


def test_tables_of_answers_are_checked_without_a_repository(here):
    table = pd.DataFrame({"face": range(40), "head": "pet", "truth": "cat", "answer": "cat"})
    table.to_csv("a.csv", index=False)
    nine = ["dog"] * 9 + ["cat"] * 31
    table.assign(answer=nine, truth=nine).to_csv("b.csv", index=False)
    run("check", "--baseline", "a.csv", "--answers", "a.csv")
    worse = run("check", "--baseline", "b.csv", "--answers", "a.csv", status=1)
    assert "9 of 40 faces have other labels" in worse.stdout
    assert "9 of 40 answers to pet moved" in worse.stdout
    run("check", "--answers", "a.csv", status=2)
    refused = run("check", "--baseline", "a.csv", "--answers", "b.csv", status=2)
    assert "answers 'dog', a class that the baseline does not know" in refused.stderr


def test_the_workflow_and_the_hook_of_the_docs_run(here, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    page = (REPOSITORY / "docs/gate.md").read_text(encoding="utf-8")
    told = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (workflow,) = (block for block in told if "jobs" in block)
    commands = [step.get("run", "") for step in workflow["jobs"]["check"]["steps"]]
    (command,) = (
        run.removeprefix("uvx pocketface ") for run in commands if run.startswith("uvx pocketface ")
    )
    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (used,) = (block["repos"][0]["hooks"][0] for block in told if "repos" in block)
    assert used == {"id": hook["id"]}
    arguments = yaml.safe_load(re.search(r"# args: (\[.*\])", page)[1])
    hooked = [*hook["entry"].removeprefix("pocketface ").split(), *arguments]
    table = pd.DataFrame({"face": range(40), "head": "pet", "truth": "cat", "answer": "cat"})
    for answer, status in (("cat", 0), (["dog"] * 9 + ["cat"] * 31, 1)):
        table.assign(truth=["dog"] + ["cat"] * 39).to_csv("before.csv", index=False)
        table.assign(truth=["dog"] + ["cat"] * 39, answer=answer).to_csv("after.csv", index=False)
        for given in (command.split(), hooked):
            checked = run(*given, status=status)
            assert ("::error title=pocketface check: evaluate::answers: " in checked.stdout) == bool(status)
        assert ("**fails**" in Path("check.md").read_text()) == bool(status)
        assert ("<failure" in Path("check.xml").read_text()) == bool(status)


def test_commands_find_the_repository_from_a_folder_in_it(checked, tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    write_sources(tmp_path / "data/sources.yaml")
    (tmp_path / "own/figures").mkdir(parents=True)

    def within(*arguments: object, status: int = 0) -> Result:
        monkeypatch.chdir(tmp_path / "own/figures")
        result = run(*arguments, status=status)
        assert f"in {tmp_path}:" in result.stderr
        return result

    within("check", "--update", "--junit", "check.xml")
    assert (tmp_path / "baselines/tiny.yaml").is_file()
    assert (tmp_path / "own/figures/check.xml").is_file(), "what a person names is where they are"
    assert "utkface " in within("data", "list").stdout
    Path(tmp_path / RESULTS).write_text("{")
    assert "results/results.parquet: not a results table" in within("track", status=2).stderr
    assert "results/results.parquet: not a results table" in within("choose", status=2).stderr
    told = ["--study", "../../params.yaml", "--from", "../../results/results.parquet"]
    assert f"{tmp_path}/results/results.parquet" in within("choose", *told, status=2).stderr


def test_track_says_what_it_is_missing(checked):
    Table((Row("age_gender", "int8", "status"),)).write(RESULTS)
    refused = run("track", status=2)
    assert "results.parquet: of age_gender, not of study tiny" in refused.stderr


def test_data_list_names_every_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sources(tmp_path / "data/sources.yaml")
    result = run("data", "list")
    for dataset in yaml.safe_load((tmp_path / "data/sources.yaml").read_text())["datasets"]:
        assert re.search(rf"^ *{dataset} +no ", result.stdout, re.MULTILINE), dataset
    last = f"{dataset}"
    archive = tmp_path / "data/raw" / last / "files.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(bytes(2_000_000))
    first = next(line for line in run("data", "list").stdout.splitlines() if " no " in line or " MB " in line)
    assert first.split()[:3] == [last, "2", "MB"]
    (tmp_path / "data/sources.yaml").unlink()
    run("data", "list", status=2)


def test_every_command_explains_itself():
    for command in ("", "predict", "evaluate", "explain", "check", "track", "publish", "data list"):
        assert "Usage" in run(*command.split(), "--help").stdout
    for command in ("predict", "app"):
        assert "non-commercial research only" in " ".join(run(command, "--help").stdout.split())


@pytest.fixture
def ran(checked, monkeypatch) -> list:
    """Every call of what runs the graph, which here does nothing; publishing only says so."""
    calls = []

    def running(study, targets, jobs):
        calls.append((study.study, targets, jobs))
        return 0

    monkeypatch.setattr("pocketface.running.run", running)
    monkeypatch.setattr("pocketface.cli.track", lambda: print("tracked"))
    return calls


def test_run_up_to_a_stage_does_nothing_besides(ran):
    assert run("run", "report", "--jobs", 3).output == ""
    assert ran == [("tiny", ["report"], 3)]


PUBLISHED = "report: open reports/tiny/index.html\ntracked\n"


def test_run_checks_and_publishes_and_a_new_study_has_no_baseline(ran):
    result = run("run")
    assert "no baseline for study tiny; `pocketface check --update` makes one" in result.stdout
    assert result.stdout.endswith(PUBLISHED)
    run("check", "--update")
    result = run("run")
    assert result.stdout.startswith("check: tiny: all ") and result.stdout.endswith(PUBLISHED)


def test_run_publishes_what_the_gate_refuses(ran, checked):
    run("check", "--update")
    older(checked, 9)
    result = run("run", status=1)
    assert "answers to age moved" in result.stdout and result.stdout.endswith(PUBLISHED)
    Path("baselines/tiny.yaml").write_text("models: [")
    result = run("run", status=2)
    assert "baselines/tiny.yaml: not a baseline (while parsing" in result.stderr
    assert result.stdout.endswith(PUBLISHED)


def test_run_publishes_again_only_what_is_new(ran, tmp_path):
    (tmp_path / "dvc.lock").write_text("1")
    (tmp_path / "mlflow.db").touch()
    nothing = "track: nothing new since the last run\n"
    assert run("run").stdout.endswith(PUBLISHED)
    assert run("run").stdout.endswith(nothing)
    for change in (
        lambda: (tmp_path / "dvc.lock").write_text("2"),
        lambda: (tmp_path / "mlflow.db").unlink(),
        lambda: (tmp_path / "params.yaml").write_text(yaml.safe_dump(STUDY | {"seed": 2})),
    ):
        change()
        assert run("run").stdout.endswith(PUBLISHED)
        (tmp_path / "mlflow.db").touch()
        assert run("run").stdout.endswith(nothing)


def test_run_looks_for_the_store_that_is_named(ran, tmp_path, monkeypatch):
    (tmp_path / "dvc.lock").write_text("1")
    (tmp_path / "mlflow.db").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    for _ in range(2):
        assert run("run").stdout.endswith(PUBLISHED)
    (tmp_path / "other.db").touch()
    assert run("run").stdout.endswith("track: nothing new since the last run\n")


@pytest.mark.parametrize("name", ["", ".", "../models", "a/b"])
def test_publish_takes_the_name_of_one_folder(here, name):
    assert "name a folder of weights/" in run("publish", "small", "--as", name, status=2).output


def test_run_ends_as_dvc_does(here, monkeypatch):
    Path("params.yaml").write_text(yaml.safe_dump(STUDY))
    monkeypatch.setattr("pocketface.running.run", lambda *_: 255)
    monkeypatch.setattr("pocketface.cli.track", lambda: pytest.fail("nothing to publish"))
    run("run", status=255)


def test_data_list_prints_terms_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sources(tmp_path / "data/sources.yaml")
    content = yaml.safe_load((tmp_path / "data/sources.yaml").read_text())
    next(iter(content["datasets"].values()))["licence"] = "[ours] [/x]"
    (tmp_path / "data/sources.yaml").write_text(yaml.safe_dump(content))
    assert "[ours] [/x]" in run("data", "list").stdout
