import base64
import json
import re
import shlex
import socket
import subprocess
import zlib
from pathlib import Path

import pytest

from fake_outs import (
    FAILED,
    LEVELS,
    REASON,
    STUDY,
    copy_report,
    write_evaluation,
    write_results,
    write_timing,
)
from pocketface.cards import Npu, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import git_revision, sha256
from pocketface.results.table import Table
from pocketface.study import Study
from pocketface.tracking import live, store
from pocketface.tracking.live import LiveCurves
from pocketface.tracking.publish import Summary, track
from pocketface.tracking.view import link, shortened
from private_files import names_in, plant, strangers

VARIANTS = {f"{model}/{level}" for model in STUDY["models"] for level in LEVELS}
RUNS = {" ".join(reversed(name.split("/"))) for name in VARIANTS}
PICTURE = r"\.png|\+compressed\.webp"
UPLOADED = (
    r"\w+/artifacts/(card\.json|history\.csv|tables/(results|groups)\.json)",
    r"\w+/artifacts/report/(index\.html|comparison\.md|overview\.png)",
    rf"\w+/artifacts/images/confusion~(gender|expression)\+step\+0[+\w-]+({PICTURE})",
    r"\w+/artifacts/plots/(curves|tradeoff|(calibration|groups)_\w+)\.png",
    r"models/m-\w+/artifacts/(MLmodel|requirements\.txt|(conda|python_env)\.yaml|code/tflite_pyfunc\.py)",
    r"models/m-\w+/artifacts/((serving_)?input_example\.json|data/(card\.json|model\.tflite|\w+-\w+-\w+\.tflite))",
)
"""Every artifact of a store, by name."""
AGE = ("age_gender", "int8", "age_mae", "utkface")
EPOCHS = [{"loss": 2.0, "val_loss": 2.1}, {"loss": 1.5, "val_loss": 1.7}, {"loss": 1.2, "val_loss": 1.6}]


@pytest.fixture
def closed_port():
    """The address of a server that is down."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def opened(outs):
    return store.open_store(outs.study, store.address_of(outs.root))


def runs(outs, kind):
    """Run name -> run; fails on doubles."""
    found = [run for run in opened(outs).runs() if run.data.tags["kind"] == kind]
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def artifacts(outs, run, folder=None):
    found = opened(outs).client.list_artifacts(run.info.run_id, folder)
    return {entry.path for entry in found if not entry.is_dir}


def curve(outs, run, metric):
    found = opened(outs).client.get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in found)


def trained(outs, model, epochs, key="key"):
    """What the stage `train` does with its live curves."""
    curves = LiveCurves(outs.study, model, key, outs.root)
    for number, metrics in enumerate(epochs):
        curves.log(number, metrics)
    curves.finish(sha256(outs.root / "models" / model / "model.weights.h5"))
    return curves


def test_every_variant_is_a_run_of_its_own_with_verdict_change_and_costs(outs):
    copy_report(outs)
    summary = track(outs.study, outs.root)
    assert set(summary.created) == VARIANTS
    models, variants = runs(outs, "model"), runs(outs, "variant")
    assert set(models) == set(STUDY["models"]) and set(variants) == RUNS
    assert not [run for run in variants.values() if "mlflow.parentRunId" in run.data.tags]
    int8, table = variants["int8 age_gender"], Table.load(outs.root)
    row = table.get("age_gender", "int8", "gender_accuracy", "utkface")
    wanted = {"level": "int8", "task": "age,gender", "dataset": "utkface", "study": "tiny", "status": "ok"}
    wanted |= {"verdict": row.verdict, "verdict/gender_accuracy/utkface": row.verdict, "current": "yes"}
    assert wanted.items() <= int8.data.tags.items()
    change = f"{100 * row.change:+.4g} points ({100 * row.change_low:+.4g} to {100 * row.change_high:+.4g})"
    shown = f", could show {100 * row.detectable:.3g}" if row.verdict == "cannot tell" else ""
    assert int8.data.tags["change"] == f"gender accuracy {change}, p {row.p:.2g}{shown}"
    params = {"training.learning_rate": "0.002", "level": "int8", "faces/photos": "18", "macs": "21000000"}
    assert params.items() <= int8.data.params.items()
    metrics = int8.data.metrics
    assert metrics["cost/size_mb"] == 0.331 and metrics["cost/latency_ms"] == pytest.approx(1.4)
    assert metrics["age_mae/utkface"] == pytest.approx(table.value(*AGE), abs=5e-4)
    expected = {"change": row.change, "change_low": row.change_low, "change_high": row.change_high}
    for kind, value in expected.items():
        assert metrics[f"{kind}/gender_accuracy/utkface"] == pytest.approx(100 * value, rel=1e-3)
    assert metrics["p/gender_accuracy/utkface"] == pytest.approx(row.p, rel=1e-3)
    assert metrics["cost/lost_margins"] == pytest.approx(-row.change / 0.005, rel=1e-3), "half a point each"
    assert "cost/lost_margins" not in variants["float32 age_gender"].data.metrics
    failed = variants[" ".join(reversed(FAILED))]
    assert failed.info.status == "FAILED" and REASON in failed.data.tags["reason"]
    assert artifacts(outs, int8) == artifacts(outs, failed) == {"card.json"}
    drawn = artifacts(outs, models["age_gender"], "plots")
    own = {path.name for path in (outs.root / "reports/tiny/plots/age_gender").iterdir()}
    assert {path.removeprefix("plots/") for path in drawn} == own
    assert curve(outs, models["expression"], "training/loss") == [(0, 2.0), (1, 1.5), (2, 1.2)]


def test_the_report_its_table_and_the_saved_view_follow_the_study(outs):
    track(outs.study, outs.root)
    assert not artifacts(outs, runs(outs, "study")["tiny"], "report")
    assert not artifacts(outs, runs(outs, "model")["age_gender"], "plots")
    copy_report(outs)
    write_evaluation(outs.study, "age_gender", "int8", outs.root, noise=0.4)
    write_results(outs)
    for _ in range(2):
        summary, opening = track(outs.study, outs.root), opened(outs)
        study, experiment = runs(outs, "study")["tiny"], opening.client.get_experiment(opening.experiment)
        assert artifacts(outs, study, "report") >= {"report/index.html", "report/overview.png"}
        model = runs(outs, "model")["age_gender"]
        assert "plots/calibration_gender.png" in artifacts(outs, model, "plots")
        for note in (study.data.tags["mlflow.note.content"], experiment.tags["mlflow.note.content"]):
            assert "| model | take | metric |" in note and "| age_gender | **" in note
        assert "| level | size |" in model.data.tags["mlflow.note.content"]
        key = summary.link.rpartition("viewStateShareKey=")[2]
        told = json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])["state"]
        state = json.loads(zlib.decompress(base64.b64decode(told.removeprefix("deflate;"))))
        assert "metrics.`change/age_mae/utkface`" in state["selectedColumns"]
        shown = opening.client.search_runs([opening.experiment], state["searchFilter"])
        assert sorted(run.info.run_name for run in shown) == sorted(RUNS), "and not those of before"
        order = [f"{state['orderByKey']} DESC"]
        (first,) = opening.client.search_runs([opening.experiment], state["searchFilter"], 1, 1, order)
        assert first.info.run_name == "int8 age_gender" and first.data.tags["verdict"] == "worse"


def test_a_description_is_cut_between_lines_and_has_no_link_into_another_page():
    note = "| [m](#m) | **int8** |\n" * 400
    assert set(shortened(note).splitlines()) == {"| m | **int8** |"} and len(shortened(note)) <= 5000


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("sqlite:////home/me/mlflow.db", "http://127.0.0.1:5000"),
        ("postgresql://me:pl4nted@host/runs", "http://127.0.0.1:5000"),
        ("https://me:pl4nted@host:8443/mlflow/?token=pl4nted", "https://host:8443/mlflow"),
    ],
)
def test_the_link_leads_to_the_server_without_secrets(address, server):
    assert link(address, "7") == f"{server}/#/experiments/7/runs?viewStateShareKey=variants"


def check_tables_confusion_matrices_and_datasets(outs):
    """What a variant and a model have when all is published."""
    client, int8 = opened(outs).client, runs(outs, "variant")["int8 age_gender"]
    assert artifacts(outs, int8, "tables") == {"tables/results.json", "tables/groups.json"}
    told = Path(client.download_artifacts(int8.info.run_id, "tables/results.json")).read_text()
    rows = [dict(zip(json.loads(told)["columns"], row, strict=True)) for row in json.loads(told)["data"]]
    (row,) = [row for row in rows if (row["dataset"], row["metric"]) == ("utkface", "age_mae")]
    assert row["value"] == pytest.approx(Table.load(outs.root).value(*AGE)) and row["main"]
    assert [path for path in artifacts(outs, int8, "images") if "confusion~gender" in path]
    inputs = {entry.dataset.name: entry for entry in int8.inputs.dataset_inputs}
    assert set(inputs) == {"utkface", "photos"}
    digest = sha256(outs.root / "data/faces/utkface/index.parquet")
    assert digest.startswith(inputs["utkface"].dataset.digest)
    assert [(tag.key, tag.value) for tag in inputs["utkface"].tags] == [("mlflow.data.context", "evaluation")]
    (trained_on,) = runs(outs, "model")["age_gender"].inputs.dataset_inputs
    assert trained_on.dataset.name == "utkface"


def test_only_what_is_listed_is_uploaded_tables_confusion_matrices_and_datasets_with_it(whole_outs):
    outs, written = whole_outs, [f"{part}/age_gender/int8" for part in ("variants", "evaluation")]
    npu = Npu(accelerator="ethos-u65-256", file="ethos-u65-256.tflite")
    card = read_card(outs.root / written[0], VariantCard).model_copy(update={"npu": npu})
    write_card(outs.root / written[0], card)
    (outs.root / written[0] / npu.file).write_bytes(b"compiled")
    copy_report(outs)
    folders = ["models/age_gender", "data/faces/utkface", "reports/tiny", "reports/tiny/plots", *written]
    plant(*(outs.root / folder for folder in folders))
    track(outs.study, outs.root)
    found = names_in(outs.root / "mlartifacts")
    assert not strangers(found, UPLOADED)
    for pattern in UPLOADED:
        assert len(found) - len(strangers(found, [pattern])) >= 3, pattern
    assert [name for name in found if name.endswith(npu.file)]
    contents = [(outs.root / "mlartifacts" / name).read_bytes() for name in found]
    assert not [
        content for content in contents if content == b"private" or str(outs.root).encode() in content
    ]
    check_tables_confusion_matrices_and_datasets(outs)


def test_the_line_to_look_at_the_runs_can_be_pasted():
    for address in ("sqlite:////home/me/my faces/mlflow.db", "sqlite:////it's/mlflow.db"):
        (line,) = re.findall("`(mlflow ui .*)`, then http", Summary(address, link(address, "1")).text())
        assert shlex.split(line) == ["mlflow", "ui", "--backend-store-uri", address, "--port", "5000"]


def test_publishing_again_adds_only_what_is_new(outs):
    first = track(outs.study, outs.root)
    assert set(track(outs.study, outs.root).skipped) == set(first.created)
    before = {run.info.run_id for run in opened(outs).runs()}
    write_timing("expression", "float16", outs.root, ms=3.0)
    write_evaluation(outs.study, "age_gender", "int8", outs.root, noise=0.4)
    write_results(outs)
    second = track(outs.study, outs.root)
    assert (second.created, second.updated) == (("age_gender/int8",), ("expression/float16",))
    assert len(second.skipped) == 4
    after = {run.info.run_id for run in opened(outs).runs()}
    assert before < after and len(after - before) == 1


def test_a_study_that_is_not_measured_is_told(outs):
    (outs.root / "results/results.parquet").unlink()
    with pytest.raises(PocketfaceError, match=r"results.parquet: no such file; make it with `dvc repro"):
        track(outs.study, outs.root)


@pytest.mark.parametrize("requests", [7, 11])  # within a variant, within a model
def test_an_attempt_that_broke_off_is_completed(outs, monkeypatch, requests):
    log, calls = store.Store.log, []

    def breaks_off(self, *args, **kwargs):
        calls.append(args)
        if len(calls) == requests:
            raise KeyboardInterrupt
        log(self, *args, **kwargs)

    monkeypatch.setattr(store.Store, "log", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        track(outs.study, outs.root)
    assert "RUNNING" in {run.info.status for run in opened(outs).runs()}
    track(outs.study, outs.root)
    assert set(runs(outs, "variant")) == RUNS and set(runs(outs, "model")) == set(STUDY["models"])
    assert "RUNNING" not in {run.info.status for run in opened(outs).runs()}


def test_a_live_run_becomes_the_model_and_gets_what_it_missed(outs):
    trained(outs, "expression", EPOCHS[:2])
    alive = runs(outs, "model")["expression"]
    assert curve(outs, alive, "training/val_loss") == [(0, 2.1), (1, 1.7)]
    track(outs.study, outs.root)
    adopted = runs(outs, "model")["expression"]
    assert adopted.info.run_id == alive.info.run_id
    assert curve(outs, adopted, "training/val_loss") == [(0, 2.1), (1, 1.7), (2, 1.6)]


def test_the_same_training_is_one_run(outs):
    broken = LiveCurves(outs.study, "expression", "key", outs.root)
    broken.log(0, {"loss": 9.0})
    broken._epochs.put(None)
    broken._thread.join()
    trained(outs, "expression", EPOCHS)
    assert curve(outs, runs(outs, "model")["expression"], "training/loss")[0] == (0, 2.0)
    track(outs.study, outs.root)
    published = runs(outs, "model")["expression"].info.run_id
    trained(outs, "expression", EPOCHS)
    assert runs(outs, "model")["expression"].info.run_id == published


def test_a_store_that_is_down_costs_the_training_one_warning(outs, closed_port, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed_port)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    trained(outs, "expression", EPOCHS)
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and closed_port in warning
    with pytest.raises(PocketfaceError, match=rf"{closed_port}: .*MLFLOW_TRACKING_URI; nothing is lost"):
        track(outs.study, outs.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert set(track(outs.study, outs.root).created) == VARIANTS


def test_a_store_that_never_answers_does_not_hold_the_training_up(outs, monkeypatch, capsys):
    monkeypatch.setattr(live, "FINISH_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        curves = trained(outs, "expression", EPOCHS)
        assert "did not answer within 0.2 s" in capsys.readouterr().err
        curves._thread.join()
        assert capsys.readouterr().err == ""


def test_doubles_that_a_slow_server_made_are_deleted(outs):
    track(outs.study, outs.root)
    original = runs(outs, "variant")["int8 age_gender"]
    tags = {name: value for name, value in original.data.tags.items() if not name.startswith("mlflow.")}
    opened(outs).create("age_gender/int8", tags)
    track(outs.study, outs.root)
    assert runs(outs, "variant")["int8 age_gender"].info.run_id == original.info.run_id


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:pl4nted@127.0.0.1:9/runs",
        "postgresql://me:a/pl4nted@127.0.0.1:9/runs",
        "postgresql://127.0.0.1:9/runs?user=me&password=pl4nted",
        "http://me:pl4nted@127.0.0.1:9",
        "http://me: pl4nted @127.0.0.1:9",
        "http://127.0.0.1:9/?token=pl4nted",
        "http://[pl4nted@127.0.0.1:9",
        "nonsense://me:pl4nted@127.0.0.1",
        "sqlite://me:pl4nted@127.0.0.1/x?password=pl4nted",
    ],
)
def test_a_secret_in_the_address_of_a_store_that_fails_is_shown_nowhere(outs, monkeypatch, capfd, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(outs.root)  # SQLAlchemy takes the last part of one of them for a file here
    trained(outs, "expression", EPOCHS)
    with pytest.raises(PocketfaceError) as caught:
        track(outs.study, outs.root)
    printed = "".join([*capfd.readouterr(), str(caught.value)])
    assert printed.count(f"{address.partition('/')[0]}//") >= 2, "of the warning and of the error"
    assert "pl4nted" not in printed


def test_a_secret_is_neither_printed_nor_kept_in_the_store(whole_outs, monkeypatch, capfd):
    """SQLite has no password; the number stands for one, since SQLite takes this part of a query."""
    root, secrets = whole_outs.root, [b"pl4nted", b"31337.25"]
    sources = root / "data/sources.yaml"
    home = "    home: https://me:pl4nted@host/x\n    licence:"
    sources.write_text(sources.read_text().replace("    licence:", home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{store.address_of(root)}?timeout=31337.25")
    LiveCurves(whole_outs.study, "expression", "key", root).finish("weights")
    print(track(whole_outs.study, root).text())
    kept = [path for path in [root / "mlflow.db", *(root / "mlartifacts").rglob("*")] if path.is_file()]
    contents = ["".join(capfd.readouterr()).encode(), *(path.read_bytes() for path in kept)]
    assert b"mlflow.db?***" in contents[0] and b"https://***@" in contents[1] and len(kept) > 10
    for secret in secrets:
        assert not any(secret in content for content in contents)


def test_a_deleted_experiment_is_told(outs):
    track(outs.study, outs.root)
    opened(outs).client.delete_experiment(opened(outs).experiment)
    with pytest.raises(PocketfaceError, match="mlflow experiments restore -x 1"):
        track(outs.study, outs.root)


def test_every_run_names_the_commit(outs):
    def git(*command):
        done = subprocess.run(["git", *command], cwd=outs.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert git_revision(outs.root) is None
    git("init", "-q")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
    track(outs.study, outs.root)
    commits = {run.data.tags["mlflow.source.git.commit"] for run in opened(outs).runs()}
    assert commits == {git("rev-parse", "HEAD")}


def test_a_new_study_is_a_new_experiment(outs):
    track(outs.study, outs.root)
    other = Study.model_validate(STUDY | {"study": "other"})
    assert len(track(other, outs.root).created) == 6


def test_every_fold_of_a_cross_validation_is_a_run_below_its_model(outs):
    folder = outs.root / "folds/age_gender"
    folder.mkdir(parents=True)
    rows = ["0,model,age_mae,6.5,10", "0,majority,age_mae,15,10", "1,model,age_mae,7.5,9"]
    (folder / "folds.csv").write_text("\n".join(["fold,estimator,metric,value,faces", *rows]) + "\n")
    (folder / "history.csv").write_text("fold,epoch,loss\n0,0,2.0\n0,1,1.5\n1,0,2.5\n1,1,1.25\n")
    for _ in range(2):
        track(outs.study, outs.root)
        folds = runs(outs, "fold")
        assert set(folds) == {"age_gender/fold-0", "age_gender/fold-1"}
    first, parent = folds["age_gender/fold-0"], runs(outs, "model")["age_gender"]
    assert first.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert first.data.metrics["model/age_mae"] == 6.5
    assert first.data.metrics["majority/age_mae"] == 15
    assert curve(outs, folds["age_gender/fold-1"], "training/loss") == [(0, 2.5), (1, 1.25)]
