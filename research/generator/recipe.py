"""How the generator is made and measured: `recipe.yaml`, read and checked."""

from typing import Annotated, Literal

from pydantic import Field

from pocketface.core.settings import Name, Strict
from pocketface.faces.settings import Crop, Dataset
from pocketface.training.settings import Model


class Training(Strict):
    """How the networks are trained.

    Attributes:
        seed, threads, precision: what the weights' bytes depend on, besides the faces and the machine.
        critic_epochs, epochs: over all canvases.
        batch_size: canvases a step.
        learning_rate: the highest; a short rise, then a half cosine down.
        divergence: weight of the latents' divergence from the normal distribution, a nat.
        features: weight of the difference between two faces as the critic sees them.
        labels: weight of the critic's reading of the labels.
        clarity: of the expressions, 1 as in life, see `research.generator.density.regress`.
        sharpness: of the faces, 0 as they are drawn, see `research.generator.density.generator`.
        average: momentum of the decoder's moving average, which is kept.
    """

    seed: int
    threads: Annotated[int, Field(ge=1)]
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    critic_epochs: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    divergence: Annotated[float, Field(ge=0)] = 5e-4
    features: Annotated[float, Field(ge=0)] = 1.0
    labels: Annotated[float, Field(ge=0)] = 0.3
    clarity: Annotated[float, Field(gt=0)] = 1.0
    sharpness: Annotated[float, Field(ge=0)] = 0.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.999


class Measures(Strict):
    """What the faces are measured with, see `research.generator.measure`.

    Attributes:
        seed: of the photographs, and of the networks that are trained on them.
        threads: of these trainings.
        photographs: how many are rendered.
        faces: how many of them a network is trained on; and of the real ones.
        crop: how they are cropped, as a study of the starter dataset does.
        real: dataset -> how its real faces are cropped.
        models: the networks; each names the dataset that it is measured on.
        judges: folders of published variants that read the labels.
    """

    seed: int
    threads: Annotated[int, Field(ge=1)]
    photographs: Annotated[int, Field(ge=1)]
    faces: Annotated[int, Field(ge=1)]
    crop: Crop
    real: dict[Name, Dataset]
    models: dict[Name, Model]
    judges: list[str]


class Recipe(Strict):
    """The whole file; `faces` tells how the training faces of each dataset are cropped."""

    faces: dict[Name, Crop]
    training: Training
    measures: Measures
