import json
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from fake_outs import FAILED, LEVELS, REASON, STUDY, write_evaluation, write_timing
from pocketface.cards import Npu, VariantCard, read_card, write_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.report.report import write_report
from pocketface.study import Study
from pocketface.tracking import live, store
from pocketface.tracking.live import LiveCurves
from pocketface.tracking.publish import Summary, track
from private_files import names_in, plant, strangers

VARIANTS = {f"{model}/{level}" for model in STUDY["models"] for level in LEVELS}
PICTURE = r"\.png|\+compressed\.webp"
UPLOADED = (
    r"\w+/artifacts/(card\.json|metrics\.json|history\.csv|tables/(figures|groups)\.json)",
    rf"\w+/artifacts/images/confusion~(gender|expression)\+step\+0[+\w-]+({PICTURE})",
    r"\w+/artifacts/plots/(curves|(calibration|confusion|groups|group_changes)_\w+|(utkface|fer2013)_\w+)\.png",
    r"models/m-\w+/artifacts/(MLmodel|requirements\.txt|(conda|python_env)\.yaml|code/tflite_pyfunc\.py)",
    r"models/m-\w+/artifacts/((serving_)?input_example\.json|data/(card\.json|model\.tflite|\w+-\w+-\w+\.tflite))",
)
"""Every artifact of a store, by name."""
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


def test_every_variant_is_a_run_below_its_model(outs):
    write_report(outs.study, outs.root)
    summary = track(outs.study, outs.root)
    assert set(summary.created) == VARIANTS and not summary.missing
    assert f"`mlflow ui --backend-store-uri {store.address_of(outs.root)}`" in summary.text()
    models, variants = runs(outs, "model"), runs(outs, "variant")
    assert set(models) == set(STUDY["models"]) and set(variants) == VARIANTS
    int8 = variants["age_gender/int8"]
    assert int8.data.tags["mlflow.parentRunId"] == models["age_gender"].info.run_id
    wanted = {"level": "int8", "task": "age,gender", "dataset": "utkface", "study": "tiny", "status": "ok"}
    assert wanted.items() <= int8.data.tags.items()
    assert int8.data.params["training.learning_rate"] == "0.002" and int8.data.params["level"] == "int8"
    metrics, float32 = int8.data.metrics, variants["age_gender/float32"].data.metrics
    assert metrics["cost/size_mb"] == 0.331 and metrics["photos/n"] == 18
    assert metrics["cost/latency_ms"] == pytest.approx(1.4)
    change = metrics["utkface/age_mae"] - float32["utkface/age_mae"]
    assert metrics["change/utkface/age_mae"] == pytest.approx(change) and change > 0
    assert artifacts(outs, int8) == {"card.json", "metrics.json"}
    drawn = artifacts(outs, models["age_gender"], "plots")
    assert {"plots/confusion_gender.png", "plots/utkface_age_size.png"} <= drawn
    assert curve(outs, models["expression"], "training/loss") == [(0, 2.0), (1, 1.5), (2, 1.2)]


def test_a_variant_has_tables_confusion_matrices_and_its_datasets(whole_outs):
    outs = whole_outs
    track(outs.study, outs.root)
    client, int8 = opened(outs).client, runs(outs, "variant")["age_gender/int8"]
    (figures,) = [path for path in artifacts(outs, int8, "tables") if path.endswith("figures.json")]
    table = json.loads(Path(client.download_artifacts(int8.info.run_id, figures)).read_text())
    row = dict(zip(table["columns"], table["data"][0], strict=True))
    assert (row["dataset"], row["faces"]) == ("photos", 18)
    values = {tuple(row[:1] + row[3:4]): row[4] for row in table["data"]}
    assert values["utkface", "age_mae"] == int8.data.metrics["utkface/age_mae"]
    assert "tables/groups.json" in artifacts(outs, int8, "tables")
    assert [path for path in artifacts(outs, int8, "images") if "confusion~gender" in path]
    inputs = {entry.dataset.name: entry for entry in int8.inputs.dataset_inputs}
    assert set(inputs) == {"utkface", "photos"}
    digest = sha256(outs.root / "data/faces/utkface/index.parquet")
    assert digest.startswith(inputs["utkface"].dataset.digest)
    assert [(tag.key, tag.value) for tag in inputs["utkface"].tags] == [("mlflow.data.context", "evaluation")]
    (trained_on,) = runs(outs, "model")["age_gender"].inputs.dataset_inputs
    assert trained_on.dataset.name == "utkface"


def test_only_what_is_listed_is_uploaded(whole_outs):
    outs, written = whole_outs, [f"{part}/age_gender/int8" for part in ("variants", "evaluation")]
    npu = Npu(accelerator="ethos-u65-256", file="ethos-u65-256.tflite")
    card = read_card(outs.root / written[0], VariantCard).model_copy(update={"npu": npu})
    write_card(outs.root / written[0], card)
    (outs.root / written[0] / npu.file).write_bytes(b"compiled")
    write_report(outs.study, outs.root)
    folders = [*written, "models/age_gender", "data/faces/utkface", "reports/tiny", "timings/age_gender"]
    plant(*(outs.root / folder for folder in folders))
    track(outs.study, outs.root)
    found = names_in(outs.root / "mlartifacts")
    assert not strangers(found, UPLOADED)
    for pattern in UPLOADED:
        assert len(found) - len(strangers(found, [pattern])) > 3, pattern
    assert [name for name in found if name.endswith(npu.file)]
    contents = [(outs.root / "mlartifacts" / name).read_bytes() for name in found]
    assert not [
        content for content in contents if content == b"private" or str(outs.root).encode() in content
    ]


def test_the_line_to_look_at_the_runs_can_be_pasted():
    for address in ("sqlite:////home/me/my faces/mlflow.db", "sqlite:////it's/mlflow.db"):
        (line,) = re.findall("`(mlflow ui .*)`", Summary(address).text())
        assert shlex.split(line) == ["mlflow", "ui", "--backend-store-uri", address]


def test_pictures_drawn_after_publishing_are_added(outs):
    track(outs.study, outs.root)
    assert not artifacts(outs, runs(outs, "model")["age_gender"], "plots")
    write_report(outs.study, outs.root)
    track(outs.study, outs.root)
    drawn = artifacts(outs, runs(outs, "model")["age_gender"], "plots")
    assert "plots/confusion_gender.png" in drawn


def test_a_failed_variant_is_a_failed_run_with_its_reason(outs):
    track(outs.study, outs.root)
    failed = runs(outs, "variant")["/".join(FAILED)]
    assert failed.info.status == "FAILED" and failed.data.tags["reason"] == REASON
    assert artifacts(outs, failed) == {"card.json", "metrics.json"}


def test_publishing_again_adds_only_what_is_new(outs):
    first = track(outs.study, outs.root)
    assert set(track(outs.study, outs.root).skipped) == set(first.created)
    before = {run.info.run_id for run in opened(outs).runs()}
    write_timing("expression", "float16", outs.root, ms=3.0)
    write_evaluation(outs.study, "age_gender", "int8", outs.root, noise=0.4)
    second = track(outs.study, outs.root)
    assert (second.created, second.updated) == (("age_gender/int8",), ("expression/float16",))
    assert len(second.skipped) == 4
    after = {run.info.run_id for run in opened(outs).runs()}
    assert before < after and len(after - before) == 1


def test_what_is_not_there_yet_is_named(outs):
    shutil.rmtree(outs.root / "evaluation/expression")
    summary = track(outs.study, outs.root)
    assert len(summary.created) == 3 and "expression/int8 is not evaluated yet" in summary.text()
    shutil.rmtree(outs.root / "evaluation")
    with pytest.raises(PocketfaceError, match=r"evaluation: no variant is evaluated yet; run `dvc repro`"):
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
    assert set(runs(outs, "variant")) == VARIANTS and set(runs(outs, "model")) == set(STUDY["models"])
    assert "RUNNING" not in {run.info.status for run in opened(outs).runs()}


def test_a_live_run_becomes_the_model_and_gets_what_it_missed(outs):
    trained(outs, "expression", EPOCHS[:2])
    alive = runs(outs, "model")["expression"]
    assert curve(outs, alive, "training/val_loss") == [(0, 2.1), (1, 1.7)]
    track(outs.study, outs.root)
    adopted = runs(outs, "model")["expression"]
    assert adopted.info.run_id == alive.info.run_id
    assert curve(outs, adopted, "training/val_loss") == [(0, 2.1), (1, 1.7), (2, 1.6)]
    assert runs(outs, "variant")["expression/int8"].data.tags["mlflow.parentRunId"] == alive.info.run_id


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
    original = runs(outs, "variant")["age_gender/int8"]
    tags = {name: value for name, value in original.data.tags.items() if not name.startswith("mlflow.")}
    opened(outs).create("age_gender/int8", tags)
    track(outs.study, outs.root)
    assert runs(outs, "variant")["age_gender/int8"].info.run_id == original.info.run_id


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


def test_a_secret_is_neither_printed_nor_kept_in_the_store(whole_outs, capfd):
    """SQLite has no password; the number stands for one, since SQLite takes this part of a query."""
    root, secrets = whole_outs.root, [b"pl4nted", b"31337.25"]
    sources = root / "data/sources.yaml"
    home = "    home: https://me:pl4nted@host/x\n    licence:"
    sources.write_text(sources.read_text().replace("    licence:", home))
    address = f"{store.address_of(root)}?timeout=31337.25"
    live.LiveCurves(whole_outs.study, "expression", "key", root, address).finish("weights")
    print(track(whole_outs.study, root, address).text())
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


def test_the_git_revision_names_the_commit(tmp_path):
    assert store.git_revision(tmp_path) is None
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert store.git_revision(tmp_path) == head.stdout.strip()


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
