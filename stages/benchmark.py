"""Stage `benchmark@MODEL`: the latency of a model's variants on this machine, all in one go.

python stages/benchmark.py MODEL      # writes timings/MODEL/LEVEL.json for every level
"""

import argparse

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Times every variant against its float32 sibling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a model of params.yaml")
    model = parser.parse_args().model

    from tqdm import tqdm

    from pocketface.core.files import write_json, written_whole
    from pocketface.core.params import part
    from pocketface.latency.benchmark import benchmark
    from pocketface.latency.settings import Benchmark

    settings, levels = part(Benchmark, "benchmark"), part(dict[str, object], "levels")
    variants, threads = outs.VARIANTS / model, sorted({1, part(int, "threads")})
    with written_whole(outs.TIMINGS / model) as folder:
        for level in tqdm(levels, desc=f"benchmark {model}", unit="variant"):
            timing = benchmark(
                variants / level,
                variants / "float32",
                threads,
                settings.runs,
                settings.warmup,
                settings.profile,
            )
            write_json(folder / f"{level}.json", timing)


if __name__ == "__main__":
    main()
