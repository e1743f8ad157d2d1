"""How long a face takes in the web page, beside what the pipeline measured.

    python benchmarks/page.py photo.jpg             # any picture with a face; prints a Markdown table

Needs Chromium and `dvc repro benchmark`. The page's times are those of its own *Compare all levels*, on one
thread and on several: fastest and median of up to 50 runs in WASM, bytes in, numbers out. The pipeline's are
`timings/`, one thread.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from visit import served, visit

from pocketface.app.runtime import runtime
from pocketface.app.site import PUBLISHED, models, write
from pocketface.core.errors import exit_cleanly
from pocketface.report.cells import Table

ENGINES = {"cpu": "one thread", "threads": "several threads"}


@exit_cleanly
def main() -> None:
    """Drives the page once per engine and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("picture", type=Path)
    found = measure(parser.parse_args().picture.resolve())
    header = ["variant", "pipeline, fastest", "median"]
    header += [what for name in found for what in (f"page, {name}", "median")]
    rows = []
    for variant in next(iter(found.values())):
        own = json.loads((Path("timings") / f"{variant}.json").read_text(encoding="utf-8"))
        times = [own["threads"]["1"][which] for which in ("min_ms", "median_ms")]
        times += [rows[variant][which] for rows in found.values() for which in ("fastest", "median")]
        rows.append([variant, *(f"{time:.2f}" for time in times)])
    print(Table(header, rows).markdown())


def measure(picture: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Engine -> variant -> `fastest` and `median`, in milliseconds."""
    found = {}
    with TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        write(site, {name: paths for name, paths in models().items() if name != PUBLISHED}, runtime())
        with served(site) as url, visit(url, Path(scratch) / "profile") as page:
            page.picture(picture)
            for engine, name in ENGINES.items():
                page.engine(engine)
                found[name] = {
                    row["variant"].partition("/")[2]: {k: float(row[k]) for k in ("fastest", "median")}
                    for row in page.compare()
                }
    return found


if __name__ == "__main__":
    main()
