"""What every stanza of a params file is made of; each package's own settings stand in its `settings.py`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
PublishedFolder = Annotated[str, StringConstraints(pattern=r"^weights/\w[\w.+-]*$")]
"""Relative to the root of the repository."""
Fraction = Annotated[float, Field(gt=0, le=1)]


class Strict(BaseModel):
    """A stanza of the params file: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
