"""What the variant to take may cost: in params, and as a person writes it, `1MB`, `500 kB`, `5ms`, `any`."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from pocketface.core.errors import PocketfaceError
from pocketface.core.settings import Strict

Target = Literal["cpu", "web", "micro"]
MEGABYTES = {"MB": 1.0, "kB": 1e-3, "B": 1e-6}
MILLISECONDS = {"ms": 1.0, "us": 1e-3, "s": 1e3}
ANY = "any"
"""No limit."""


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


def limits_of(champion: Champion, size: str | None, latency: str | None) -> Champion:
    """The limits asked for; what is not asked for is the study's, under `champion`.

    Raises:
        PocketfaceError: one is not a positive number with a unit.
    """
    asked: dict[str, float | None] = {}
    if size is not None:
        asked["max_size_mb"] = _amount("--max-size", size, MEGABYTES)
    if latency is not None:
        asked["max_latency_ms"] = _amount("--max-latency", latency, MILLISECONDS)
    return champion.model_copy(update=asked)


def _amount(option: str, text: str, units: Mapping[str, float]) -> float | None:
    """A number and a unit, in the first of the units; None for `any`."""
    if text.strip().lower() == ANY:
        return None
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)([a-z]+)", text.replace(" ", "").lower())
    factors = {unit.lower(): factor for unit, factor in units.items()}
    if found is None or found[2] not in factors or not float(found[1]):
        raise PocketfaceError(
            f"{option} {text}: a number and a unit of {', '.join(units)} are wanted, or {ANY}"
        )
    return float(found[1]) * factors[found[2]]
