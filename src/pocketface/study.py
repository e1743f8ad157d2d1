"""A study: one `params.yaml`, read and checked whole.

The same file drives `dvc.yaml`, so a setting is declared once. Settings stand beside the code that they set;
here they are put together, and names are checked across them.
"""

from pathlib import Path

from pydantic import ConfigDict, model_validator

from pocketface.choosing.settings import Champion
from pocketface.core import outs
from pocketface.core.labels import HEADS, main_metric
from pocketface.core.params import part
from pocketface.core.settings import Name
from pocketface.datasets import names as dataset_names
from pocketface.faces.settings import Crop, Input
from pocketface.latency.settings import Benchmark
from pocketface.levels import LEVELS
from pocketface.levels.settings import LevelSettings
from pocketface.metrics.settings import Margins
from pocketface.training.settings import Plan, known


class Study(Plan):
    """The whole params file; the fields that training reads are those of `Plan`.

    Attributes:
        levels: the quantization levels to make of every model.
        holdout: a dataset that no model is trained on and every model is measured on.
        benchmark: how latency is measured.
        micro: models whose variants are tried in TensorFlow Lite Micro and compiled for an NPU.
        margins: within which a change is called equivalent.
        groups: label columns to group faces by, beside gender, race and age: `[Eyeglasses, camera]`.
        champion: limits for the variant to take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    levels: dict[Name, LevelSettings]
    holdout: Name
    benchmark: Benchmark
    margins: Margins = Margins()
    groups: list[str] = []
    champion: Champion = Champion()
    micro: list[Name] = []

    @model_validator(mode="after")
    def _all_names_resolve(self) -> "Study":
        for name in self.datasets:
            if self.datasets[name].reader is None:
                known(f"datasets.{name}", name, dataset_names())
        for name, level in self.levels.items():
            known(f"levels.{name}", name, list(LEVELS))
            for metric in level.max_drop:
                known(f"levels.{name}.max_drop", metric, [main_metric(head) for head in HEADS])
        known("holdout", self.holdout, list(self.datasets))
        for name in self.micro:
            known("micro", name, list(self.models))
        for name, model in self.models.items():
            if self.holdout in self.trained_on(name):
                raise ValueError(f"models.{name}.dataset: {self.holdout} is the hold-out, not for training")
            for dataset in (*self.trained_on(name), self.holdout):
                _covers(f"models.{name}.input", model.input, dataset, self.datasets[dataset].crop)
        return self


def _covers(field: str, model: Input, dataset: str, crop: Crop) -> None:
    """A window wider than the stored crop would show made-up edges."""
    reach = model.margin + abs(model.shift)
    if crop.policy != "as_is" and crop.geometry == "chip" and reach > crop.margin:
        raise ValueError(
            f"{field}: margin and shift reach {reach:g} mean-face widths out, "
            f"datasets.{dataset}.crop.margin stores {crop.margin:g}"
        )


def load_study(path: Path = outs.PARAMS) -> Study:
    """Reads and checks a params file.

    Raises:
        PocketfaceError: the file is missing, is not YAML, or a field is unknown or impossible.
    """
    return part(Study, path=Path(path))
