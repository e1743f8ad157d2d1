"""Stage `benchmark@MODEL-LEVEL`: the latency of one variant on this machine.

python stages/benchmark.py MODEL LEVEL      # writes timings/MODEL/LEVEL.json
"""

import argparse
from pathlib import Path

from pocketface.errors import exit_cleanly
from pocketface.files import write_json
from pocketface.study import load_study
from pocketface.tflite.benchmark import benchmark


@exit_cleanly
def main() -> None:
    """Times the variant against its float32 sibling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a model of params.yaml")
    parser.add_argument("level", help="a level of params.yaml")
    wanted = parser.parse_args()
    study = load_study()
    variants = Path("variants") / wanted.model
    timing = benchmark(
        variants / wanted.level,
        variants / "float32",
        sorted({1, study.threads}),
        study.benchmark.runs,
        study.benchmark.warmup,
        study.benchmark.profile,
    )
    write_json(Path("timings") / wanted.model / f"{wanted.level}.json", timing)


if __name__ == "__main__":
    main()
