"""How long a face takes in the web page, beside what the pipeline measured.

    python benchmarks/page.py photo.jpg             # any picture with a face; prints a Markdown table

Needs Node and Chromium, the page built (docs/app.md), and `dvc repro export_app benchmark`. The page's times
are those of its own *Compare all levels*, on one thread and on several: fastest and median of up to 50 runs
in WASM, bytes in, numbers out. The pipeline's are `timings/`, one thread.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from pocketface.app.serve import PAGE, server
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError, exit_cleanly

DRIVE = Path("tests/app/drive.mjs")
ENGINES = {"cpu": "one thread", "threads": "several threads"}


@exit_cleanly
def main() -> None:
    """Drives the page once per engine and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    found = measure(parser.parse_args().picture.resolve())
    print(
        "| variant | pipeline, fastest | median | "
        + " | ".join(f"page, {name} | median" for name in found)
        + " |"
    )
    print("| :-- |" + " --: |" * (2 + 2 * len(found)))
    for variant in next(iter(found.values())):
        own = json.loads((Path("timings") / f"{variant}.json").read_text(encoding="utf-8"))
        times = [own["threads"]["1"][which] for which in ("min_ms", "median_ms")]
        times += [rows[variant][which] for rows in found.values() for which in ("fastest", "median")]
        print(f"| {variant} | " + " | ".join(f"{time:.2f}" for time in times) + " |")


def measure(picture: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Engine -> variant -> `fastest` and `median`, in milliseconds."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise PocketfaceError("no Chromium here: `apt-get install chromium`")
    steps = [["open", None], ["picture", str(picture)]]
    for engine in ENGINES:
        steps += [["engine", engine], ["compare", None]]
    with server(PAGE, outs.BUNDLE, 0) as running, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_address[1]}/"
        plan = {"url": url, "chromium": chromium, "profile": profile, "steps": steps, "patience": 600_000}
        done = subprocess.run(["node", DRIVE, json.dumps(plan)], capture_output=True, text=True)
        running.shutdown()
    if done.returncode != 0:
        raise PocketfaceError(f"the browser stopped: {done.stderr.strip()}")
    results = json.loads(done.stdout)["results"][3::2]
    return {
        name: {row["variant"]: {which: float(row[which]) for which in ("fastest", "median")} for row in rows}
        for name, rows in zip(ENGINES.values(), results, strict=True)
    }


if __name__ == "__main__":
    main()
