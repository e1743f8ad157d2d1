"""How the report and `pocketface track` grow with the number of variants.

PYTHONPATH=tests python benchmarks/scale.py --variants 30 100 300

Writes what the graph would leave of so many variants (drawn numbers, three levels a model, `--faces` faces
each; see tests/fake_outs.py), then times the report, `track` into a new SQLite store, a second `track`, which
has nothing to do, and MLflow's search for all variants with their metrics, which is what its comparison
asks. CPU seconds of this process, all in one run, so that other work on the machine weighs little; the last
column of each is the cost of a variant in that of a variant of the smallest study. Writes its section of
reports/reliability.md.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
from sections import write_section

import fake_outs
from pocketface.reporting.quantization import write_quantization
from pocketface.reporting.report import write_report
from pocketface.reporting.results import Results
from pocketface.tracking import track

PAGE, TITLE = Path("reports/reliability.md"), "Many variants"
STEPS = ("report", "track", "track again", "search")


def main() -> None:
    """Prints a row a size and writes the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--variants", type=int, nargs="+", default=[30, 100, 300])
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    measured: dict[int, dict[str, float]] = {}
    for asked in sorted(args.variants):
        with tempfile.TemporaryDirectory() as folder:
            outs = made(Path(folder), asked, args.faces)
            variants = len(outs.study.models) * len(outs.study.levels)
            measured[variants] = timed(outs)
        told = {step: round(seconds, 2) for step, seconds in measured[variants].items()}
        print(variants, told, flush=True)
    sizes = " ".join(str(size) for size in args.variants)
    body = [
        f"`PYTHONPATH=tests python benchmarks/scale.py --variants {sizes} --faces {args.faces}`: CPU seconds "
        "a variant, and in brackets as a multiple of the smallest study's.",
        "",
        f"| variants | {' | '.join(STEPS)} |",
        f"| --: |{' --: |' * len(STEPS)}",
        *(row(variants, seconds, measured) for variants, seconds in measured.items()),
    ]
    write_section(args.page, TITLE, "\n".join(body))


def made(root: Path, variants: int, faces: int) -> fake_outs.Outs:
    """The outs of a study with so many variants, rounded down to whole models."""
    stanza = fake_outs.STUDY["models"]["age_gender"]
    models = {f"age_gender_{i}": stanza for i in range(variants // len(fake_outs.LEVELS))}
    return fake_outs.write_outs(root, fake_outs.STUDY | {"study": "many", "models": models}, faces)


def timed(outs: fake_outs.Outs) -> dict[str, float]:
    """CPU seconds of every step."""

    def report() -> None:
        write_quantization(Results.load(outs.study, outs.root), write_report(outs.study, outs.root))

    def search() -> None:
        client = mlflow.MlflowClient(f"sqlite:///{outs.root / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("pocketface-many")
        token, found = None, []
        while token or not found:
            asked = {"filter_string": "tags.kind = 'variant'", "page_token": token}
            page = client.search_runs([experiment.experiment_id], max_results=100, **asked)
            found, token = [*found, *page], page.token
            if not token:
                break
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


def row(variants: int, seconds: dict[str, float], measured: dict[int, dict[str, float]]) -> str:
    """A row of the table."""
    least = min(measured)
    cells = []
    for step in STEPS:
        each, reference = seconds[step] / variants, measured[least][step] / least
        cells.append(f"{each:.3g} ({each / reference:.2f})")
    return f"| {variants} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
