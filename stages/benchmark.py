"""Stage `benchmark@MODEL`: the latency of a model's variants on this machine, all in one go.

python stages/benchmark.py MODEL      # writes timings/MODEL/LEVEL.json for every level
"""

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument, part


@exit_cleanly
def main() -> None:
    """Times a model's variants, in turns."""
    model = argument("model", "a model of params.yaml", __doc__, raw=True)

    from pocketface.core.files import write_json, written_whole
    from pocketface.latency.benchmark import benchmark
    from pocketface.latency.settings import Benchmark

    settings = part(Benchmark, "benchmark")
    folders = {level: outs.VARIANTS / model / level for level in part(dict[str, object], "levels")}
    threads = sorted({1, part(int, "threads")})
    timings = benchmark(folders, threads, settings.runs, settings.warmup, settings.profile)
    with written_whole(outs.TIMINGS / model) as folder:
        for level, timing in timings.items():
            write_json(folder / f"{level}.json", timing)


if __name__ == "__main__":
    main()
