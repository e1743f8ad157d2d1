"""What the variant to take may cost."""

from typing import Annotated, Literal

from pydantic import Field

from pocketface.core.settings import Strict

Target = Literal["cpu", "web", "micro"]


class Champion(Strict):
    """What the variant to take may cost, and where it runs; null is no limit.

    Attributes:
        target: `cpu`: latency is what the benchmark measured; `web`: levels without fast kernels in
            WebAssembly come last; `micro`: only what TensorFlow Lite Micro runs.
        max_size_mb: of the file, in millions of bytes.
        max_latency_ms: median time for one face with one thread, on the machine that measured it.
    """

    target: Target = "cpu"
    max_size_mb: Annotated[float, Field(gt=0, le=1e6)] | None = 1.0
    max_latency_ms: Annotated[float, Field(gt=0, le=1e6)] | None = 10.0

    def __str__(self) -> str:
        size = "" if self.max_size_mb is None else f"{self.max_size_mb:g} MB"
        latency = "" if self.max_latency_ms is None else f"{self.max_latency_ms:g} ms a face"
        return " and ".join(limit for limit in (size, latency) if limit)
