"""What every stanza of a params file is made of; each package's own settings stand in its `settings.py`."""

import math
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
PublishedFolder = Annotated[str, StringConstraints(pattern=r"^weights/\w[\w.+-]*$")]
"""Relative to the root of the repository."""
FileName = Annotated[str, StringConstraints(pattern=r"^\w[\w.+-]*$")]
"""A plain name: no folder, not hidden."""
RELATIVE_PATH = r"^\w[\w.+-]*(/\w[\w.+-]*)*$"
RelativePath = Annotated[str, StringConstraints(pattern=RELATIVE_PATH)]
"""Forward slashes, no `..`, nothing absolute: it is joined to folders of ours."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, le=100_000)]
"""Of epochs, runs and the like: more is a slip of the finger."""
Threads = Annotated[int, Field(ge=1, le=256)]
LearningRate = Annotated[float, Field(gt=0, le=10)]

WIDEST, LONGEST = 8192, 64


def _an_option(value: Any) -> Any:
    """Refuses what no architecture has a use for, before anything of that size is built."""
    if isinstance(value, list | tuple):
        if len(value) > LONGEST or any(isinstance(part, list | tuple) for part in value):
            raise ValueError(f"a list of at most {LONGEST} numbers or names, none of them a list")
        return [_an_option(part) for part in value]
    if isinstance(value, str):
        if not re.fullmatch(RELATIVE_PATH[1:-1], value):
            raise ValueError(f"{value!r} is no name, such as mobilenet_v2_1.0")
    elif isinstance(value, int | float):
        if not (math.isfinite(value) and 0 <= value <= WIDEST):
            raise ValueError(f"not from 0 to {WIDEST}")
    elif value is not None:
        raise ValueError("neither a number, a name nor a list of them")
    return value


Option = Annotated[Any, AfterValidator(_an_option)]
"""Of an architecture: a number from 0 to `WIDEST`, a name or a path below here, or a list of these. What
else it must be, the architecture says when it is built."""


def fits(text: str, kind: Any) -> bool:
    """Whether a text may stand where a stanza has one of these types, such as `Name`."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


class Strict(BaseModel):
    """A stanza of the params file: unknown fields are errors, numbers are finite, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
