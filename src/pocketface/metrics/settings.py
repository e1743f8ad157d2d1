"""The margins within which a change is none."""

from typing import Annotated

from pydantic import Field

from pocketface.core.settings import Strict

Margin = Annotated[float, Field(gt=0, le=100)]


class Margins(Strict):
    """A change whose 90% interval lies within the margin of its unit is `equivalent`.

    Attributes:
        years: of ages.
        share: of accuracies, F1 and all other shares; 0.005 is half a point.
    """

    years: Margin = 0.1
    share: Margin = 0.005
