"""Publishing to a real `mlflow server`, over SQLite and over PostgreSQL: down, up, killed half-way, back.

Slow: a server takes most of a minute to start. What a person sees is looked at in Chromium. The picture in
docs is taken anew, of a study that was run in ROOT, with

    MLFLOW_PICTURE_OF=ROOT pytest -n 0 -m slow tests/tracking/test_server.py -k "link and sqlite"
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner
from visit import CHROMIUM

from fake_outs import LEVELS, STUDY, Outs, write_outs
from mlflow_server import START_SECONDS, Server, free_port
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.report.report import write_report
from pocketface.study import load_study
from pocketface.tracking import store
from pocketface.tracking.publish import track

pytestmark = pytest.mark.slow

RUNS = {f"{level} {model}" for model in STUDY["models"] for level in LEVELS}
VARIANTS = {f"{model}/{level}" for model in STUDY["models"] for level in LEVELS}


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a database of its own, in a folder of its own."""
    pytest.importorskip("psycopg2", reason="MLflow needs psycopg2 for PostgreSQL")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [shutil.which("initdb")]
    if found[-1] is None:
        pytest.skip("PostgreSQL is not installed: no initdb")
    tools, port = Path(found[-1]).parent, free_port()
    who = {"user": "nobody"} if os.geteuid() == 0 else {}  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pocketface-postgres-", dir="/tmp"))
    if who:
        shutil.chown(folder, who["user"])
    data, options = folder / "data", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"

    def run(tool: str, *arguments: str) -> None:
        subprocess.run(
            [tools / tool, "-D", data, *arguments], cwd=folder, check=True, capture_output=True, **who
        )

    run("initdb", "-U", "me", "-A", "trust")
    run("pg_ctl", "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield f"postgresql+psycopg2://me@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request, tmp_path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    if request.param == "sqlite":
        database = f"sqlite:///{folder / 'server.db'}"
    else:
        database = request.getfixturevalue("postgres")
    server = Server(database, folder)
    yield server
    server.kill()


def published(outs) -> list[str]:
    """The names of all runs; fails if one is not finished."""
    opened = store.open_store(outs.study, store.address_of(outs.root))
    runs = opened.runs()
    assert "RUNNING" not in {run.info.status for run in runs}
    return sorted(run.info.run_name for run in runs)


def test_a_server_that_is_down_or_killed_loses_nothing(server, tmp_path, monkeypatch):
    outs = write_outs(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.with_secret)
    down = CliRunner().invoke(app, ["track"])
    assert down.exit_code == 2
    assert f"error: http://***@127.0.0.1:{server.port}: the MLflow store cannot be used" in down.stderr
    assert "nothing is lost" in down.stderr

    server.start()
    log, calls = store.Store.log, []

    def killed_half_way(self, *args, **kwargs):
        calls.append(args)
        if len(calls) == 8:  # in the second variant
            server.kill()
        log(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(store.Store, "log", killed_half_way)
        with pytest.raises(PocketfaceError, match="nothing is lost"):
            track(outs.study, outs.root)

    server.start()
    caught_up = track(outs.study, outs.root)
    assert set(caught_up.created) | set(caught_up.skipped) == VARIANTS
    assert caught_up.created and caught_up.skipped, "it was killed between two variants"
    expected = sorted([*RUNS, *STUDY["models"], STUDY["study"]])
    assert published(outs) == expected
    again = CliRunner().invoke(app, ["track"])
    assert f"{len(VARIANTS)} already there" in again.stdout
    assert published(outs) == expected
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"pl4nted" in path.read_bytes()]
    assert "pl4nted" not in down.output + again.output
    opened = store.open_store(outs.study, server.address).client
    for model in opened.search_registered_models():
        assert model.aliases == {"champion": "1"}
    assert len(opened.search_logged_models(["1"])) == len(VARIANTS) - 1, "one level failed"


DOCS = Path(__file__).parents[2] / "docs/mlflow.png"
FIRST = """() => {
    const cells = [...document.querySelectorAll('[role=row][row-index="0"] [role=gridcell]')];
    return Object.fromEntries(cells.map((cell) => [cell.getAttribute("col-id"), cell.innerText.trim()]));
}"""
"""Column -> what the table's first row says."""


@pytest.fixture
def study(tmp_path) -> Outs:
    """What is published: a small study, or that of which the docs' picture is."""
    if of := os.environ.get("MLFLOW_PICTURE_OF"):
        return Outs(load_study(Path(of) / "params.yaml"), Path(of))
    made = write_outs(tmp_path)
    write_report(made.study, made.root)
    return made


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_one_link_opens_the_table_that_says_which_variant_lost_most(server, study, tmp_path, monkeypatch):
    from playwright.sync_api import sync_playwright

    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.with_secret)
    told = track(study.study, study.root).text()
    (link,) = re.findall(r"http\S+viewStateShareKey=\S+", told)
    opened = store.open_store(study.study, server.address)
    runs = opened.client.search_runs(
        [opened.experiment], order_by=["metrics.`cost/lost_margins` DESC", "attributes.start_time DESC"]
    )
    most = runs[0].data.tags
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(1000 * START_SECONDS)
        page.goto(link)
        page.get_by_text(re.compile(rf"^{most['level']} {most['model']}$")).first.wait_for()
        assistant = page.get_by_role("button", name="Close", exact=True)  # MLflow's own, over the table
        if assistant.count():
            assistant.first.click()
        first = page.evaluate(FIRST)
        assert first["tags.`verdict`"] == most["verdict"] and first["tags.`change`"] == most["change"]
        page.get_by_text("Variants: what each level lost").first.wait_for()
        shown = len(study.study.models) * len(study.study.levels)
        page.get_by_text(re.compile(rf"^{shown}\s+matching runs$")).wait_for()
        page.screenshot(path=tmp_path / "table.png")
        if "MLFLOW_PICTURE_OF" in os.environ:
            Image.open(tmp_path / "table.png").quantize(64).save(DOCS, optimize=True)

        page.goto(f"{link}&compareRunsMode=CHART")
        page.get_by_text("Main metrics and costs").first.wait_for()
        page.locator(".js-plotly-plot").first.wait_for()

        report = next(run.info.run_id for run in runs if run.data.tags["kind"] == "study")
        page.goto(
            f"{server.address}/#/experiments/{opened.experiment}/runs/{report}/artifacts/report/index.html"
        )
        page.frame_locator("iframe").get_by_text("Which level to take").first.wait_for()

        champion = next(run.info.run_id for run in runs if run.data.tags.get("champion"))
        page.goto(f"{server.address}/#/experiments/{opened.experiment}/runs/{champion}")
        page.get_by_text("Registered models", exact=True).first.wait_for()
        page.get_by_text(re.compile(f"^pocketface-{study.study.study}-")).first.wait_for()
        browser.close()
