"""Stage `benchmark@MODEL`: the latency of a model's variants on this machine, all in one go.

python stages/benchmark.py MODEL      # writes timings/MODEL/LEVEL.json for every level
"""

import argparse
from pathlib import Path

from pocketface.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Times every variant against its float32 sibling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a model of params.yaml")
    model = parser.parse_args().model

    from tqdm import tqdm

    from pocketface.files import write_json, written_whole
    from pocketface.latency.benchmark import benchmark
    from pocketface.study import load_study

    study = load_study()
    variants, threads = Path("variants") / model, sorted({1, study.threads})
    with written_whole(Path("timings") / model) as folder:
        for level in tqdm(study.levels, desc=f"benchmark {model}", unit="variant"):
            timing = benchmark(
                variants / level,
                variants / "float32",
                threads,
                study.benchmark.runs,
                study.benchmark.warmup,
                study.benchmark.profile,
            )
            write_json(folder / f"{level}.json", timing)


if __name__ == "__main__":
    main()
