"""How the report and `pocketface track` grow with the number of variants.

    PYTHONPATH=tests python benchmarks/scale.py --variants 30 100 300

Writes what the graph would leave of so many variants (drawn numbers, three levels a model, `--faces` faces
each; see tests/fake_outs.py), then times the report, `track` into a new SQLite store, a second `track`, which
has nothing to do, and MLflow's search for all variants with their metrics: CPU seconds of this process, so
that other work on the machine weighs little; in brackets the cost of a variant in that of a variant of the
smallest study.

Of the largest study, `mlflow server` is started on the store and asked what its comparison asks, and where
there are Chromium and its driver, the comparison of all variants is opened: seconds on the clock. Writes its
section of reports/reliability.md.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import mlflow
import requests
from playwright.sync_api import sync_playwright
from sections import write_section
from visit import CHROMIUM

import fake_outs
from mlflow_server import START_SECONDS, Server
from pocketface.report.cells import Table
from pocketface.report.report import write_report
from pocketface.tracking.publish import track
from pocketface.tracking.store import address_of

PAGE, TITLE = Path("reports/reliability.md"), "Many variants"
STEPS = ("report", "track", "track again", "search")
AT_ONCE = 100
"""Runs that MLflow gives the histories of in one answer, at most."""


def main() -> None:
    """Prints a row a size and writes the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--variants", type=int, nargs="+", default=[30, 100, 300])
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    measured: dict[int, dict[str, float]] = {}
    megabytes, served = 0.0, dict[str, float]()
    for asked in sorted(args.variants):
        with tempfile.TemporaryDirectory() as folder:
            outs = made(Path(folder), asked, args.faces)
            variants = len(outs.study.models) * len(outs.study.levels)
            measured[variants] = timed(outs)
            print(variants, shown(measured[variants], 2), flush=True)
            megabytes = (outs.root / "reports/many/index.html").stat().st_size / 1e6
            if asked == max(args.variants):
                served = compared(outs)
                print(shown(served, 1), flush=True)
    sizes = " ".join(str(size) for size in args.variants)
    body = [
        f"`PYTHONPATH=tests python benchmarks/scale.py --variants {sizes} --faces {args.faces}`: CPU seconds "
        "a variant, and in brackets as a multiple of the smallest study's.",
        "",
        Table(["variants", *STEPS], rows_of(measured), text_columns=0).markdown(),
        "",
        f"Of {max(measured)} variants, the report's page has {megabytes:.1f} MB. `mlflow server` on their "
        f"store, seconds on the clock: {shown(served, 1)}.",
    ]
    write_section(args.page, TITLE, "\n".join(body))


def shown(seconds: dict[str, float], digits: int) -> str:
    """`report 3.25, track 1.50`."""
    return ", ".join(f"{what} {value:.{digits}f}" for what, value in seconds.items())


def made(root: Path, variants: int, faces: int) -> fake_outs.Outs:
    """The outs of a study with so many variants, rounded down to whole models."""
    stanza = fake_outs.STUDY["models"]["age_gender"]
    models = {f"age_gender_{i}": stanza for i in range(variants // len(fake_outs.LEVELS))}
    return fake_outs.write_outs(root, fake_outs.STUDY | {"study": "many", "models": models}, faces)


def timed(outs: fake_outs.Outs) -> dict[str, float]:
    """CPU seconds of every step."""

    def report() -> None:
        write_report(outs.study, outs.root)

    def search() -> None:
        client = mlflow.MlflowClient(address_of(outs.root))
        experiment = client.get_experiment_by_name("pocketface-many")
        asked = {"filter_string": "tags.kind = 'variant'", "max_results": 100}
        page = client.search_runs([experiment.experiment_id], **asked)
        found = [*page]
        while page.token:
            page = client.search_runs([experiment.experiment_id], **asked, page_token=page.token)
            found += page
        assert len(found) == len(outs.study.models) * len(outs.study.levels)

    steps: dict[str, Callable[[], object]] = dict(
        zip(STEPS, (report, *[lambda: track(outs.study, outs.root)] * 2, search), strict=True)
    )
    seconds = {}
    for step, run in steps.items():
        started = time.process_time()
        run()
        seconds[step] = time.process_time() - started
    return seconds


def compared(outs: fake_outs.Outs) -> dict[str, float]:
    """Seconds in which a server gives all variants, their histories of a metric, and the page of them all."""
    seconds: dict[str, float] = {}

    @contextmanager
    def clocked(what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        seconds[what] = time.monotonic() - started

    server = Server(address_of(outs.root), outs.root)
    server.start()
    try:
        api = f"{server.address}/ajax-api/2.0/mlflow"
        named = {"experiment_name": "pocketface-many"}
        found = requests.get(f"{api}/experiments/get-by-name", named, timeout=START_SECONDS).json()
        experiment = found["experiment"]["experiment_id"]
        asked = {"experiment_ids": [experiment], "filter": "tags.kind = 'variant'", "max_results": 1000}
        with clocked("search"):
            found = requests.post(f"{api}/runs/search", json=asked, timeout=START_SECONDS).json()["runs"]
        runs = [run["info"]["run_id"] for run in found]
        assert len(runs) == len(outs.study.models) * len(outs.study.levels)
        with clocked("a metric's histories"):
            for start in range(0, len(runs), AT_ONCE):
                wanted = {"metric_key": "cost/size_mb", "run_id": runs[start : start + AT_ONCE]}
                found = requests.get(f"{api}/metrics/get-history-bulk", wanted, timeout=START_SECONDS).json()
                assert len(found["metrics"]) == len(wanted["run_id"])
        if CHROMIUM:
            with clocked("comparison page in Chromium"):
                open_comparison(server.address, experiment, runs)
    finally:
        server.kill()
    return seconds


def open_comparison(home: str, experiment: str, runs: list[str]) -> None:
    """Opens MLflow's comparison of these runs in Chromium and waits until its plot is there."""
    chosen = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([experiment]))}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, wrong = browser.new_page(), list[str]()
        page.set_default_timeout(1000 * START_SECONDS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{home}/#/compare-runs?{chosen}")
        page.get_by_text(f"Comparing {len(runs)} Runs").first.wait_for()
        page.locator(".js-plotly-plot").first.wait_for()
        browser.close()
    assert not wrong, wrong[0][-500:]


def rows_of(measured: dict[int, dict[str, float]]) -> list[list[str]]:
    """Of every size, the seconds a variant, and in those of the smallest."""
    a_variant = {size: {step: seconds[step] / size for step in STEPS} for size, seconds in measured.items()}
    least = a_variant[min(measured)]
    return [
        [str(size), *(f"{each:.3g} ({each / least[step]:.2f})" for step, each in steps.items())]
        for size, steps in a_variant.items()
    ]


if __name__ == "__main__":
    main()
