"""How latency is measured."""

from typing import Annotated

from pydantic import Field

from pocketface.core.settings import Strict


class Benchmark(Strict):
    """Latency measurement.

    Attributes:
        runs: per thread setting, after the warm-up runs.
        warmup: runs that do not count.
        profile: whether LiteRT's own profiler is run as well, see `pocketface.latency.profile`.
    """

    runs: Annotated[int, Field(ge=3, le=100_000)] = 50
    warmup: Annotated[int, Field(ge=0, le=100_000)] = 5
    profile: bool = False
