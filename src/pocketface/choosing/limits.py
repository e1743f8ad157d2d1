"""Limits as a person writes them: `1MB`, `500 kB`, `5ms`, `any`.

limits_of(study.champion, "500kB", None)      # of size 0.5 MB, of latency the one of the study
"""

import re
from collections.abc import Mapping

from pocketface.choosing.settings import Champion
from pocketface.core.errors import PocketfaceError

MEGABYTES = {"MB": 1.0, "kB": 1e-3, "B": 1e-6}
MILLISECONDS = {"ms": 1.0, "us": 1e-3, "s": 1e3}
ANY = "any"
"""No limit."""


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
