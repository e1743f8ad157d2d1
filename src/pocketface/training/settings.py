"""How models are trained, and on what."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import CELEBA_ATTRIBUTES, HEADS, Head
from pocketface.core.settings import (
    Count,
    LearningRate,
    Name,
    Option,
    PublishedFolder,
    Seed,
    Sha256,
    Strict,
    Threads,
)
from pocketface.faces.settings import Dataset, Input
from pocketface.layers.own import OwnHead, Preprocess
from pocketface.models import OWN
from pocketface.models import names as architecture_names

Share = Annotated[float, Field(ge=0, le=1)]


def _listed(start: Any) -> Any:
    return [start] if isinstance(start, str) else start or []


class Augment(Strict):
    """Random changes of training faces. All off by default.

    Attributes:
        flip: mirror half of the faces.
        translate, zoom: shift, scale by up to this share of the side.
        rotate: turn by up to this many degrees.
        brightness: add up to this share of 255.
        contrast, saturation: scale by up to this share; grey faces have no saturation.
        blur: average 2x2 pixels in this share of the faces.
        erase: put noise over a random rectangle in this share of the faces (Zhong et al., 2020).
        mixup: alpha of the beta distribution that weighs two faces laid over each other (Zhang et al., 2018).
        fourfold: an epoch holds every face four times, as it is, mirrored, blurred 2x2, and both, as in the
            FaceNet report.
    """

    flip: bool = False
    translate: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    rotate: Annotated[float, Field(ge=0, le=90)] = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    blur: Share = 0.0
    erase: Share = 0.0
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    fourfold: bool = False

    @model_validator(mode="after")
    def _fourfold_is_flip_and_blur(self) -> "Augment":
        if self.fourfold and (self.flip or self.blur):
            raise ValueError("fourfold has every face mirrored and blurred: leave out flip and blur")
        return self


class Plain(Strict):
    """A learning rate without settings of its own.

    Attributes:
        kind: `one_cycle`: a linear rise over the first tenth, then a half cosine down to nothing; `cosine`:
            that half cosine alone (Loshchilov, Hutter, 2017); `constant`: the same throughout.
    """

    kind: Literal["one_cycle", "constant", "cosine"] = "one_cycle"


class Piecewise(Strict):
    """The learning rate times a factor that changes at set shares of the training."""

    kind: Literal["piecewise"]
    at: list[Annotated[float, Field(gt=0, lt=1)]]
    factors: list[Annotated[float, Field(gt=0, le=1000)]]

    @model_validator(mode="after")
    def _a_factor_before_and_after_every_change(self) -> "Piecewise":
        if len(self.factors) != len(self.at) + 1 or sorted(set(self.at)) != self.at:
            raise ValueError("`at` must rise, and there is one factor more than there are changes")
        return self


class Plateau(Strict):
    """The learning rate falls by `factor` after `patience` epochs without a better watched metric."""

    kind: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.3
    patience: Count = 3


Schedule = Annotated[Plain | Piecewise | Plateau, Field(discriminator="kind")]


class Watch(Strict):
    """A metric that steers the training, measured after every epoch on train faces kept out of it.

    Attributes:
        metric: `loss`, or `HEAD_mae` of a number, or `HEAD_accuracy` of classes.
        share: of the train faces, chosen by hash.
        patience: early stopping: after so many epochs without a better value the training ends, and the best
            epoch's weights are kept; without it, the last ones.
    """

    metric: str = "loss"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Count | None = None


class Teachers(Strict):
    """Published models that a model learns from, beside the labels (Hinton, Vinyals, Dean, 2015).

    Attributes:
        weights: folders that `pocketface publish` has made; what several answer is averaged.
        share: of a face's target that is theirs; the label has the rest. A face without the label learns from
            them alone.
        as_sure: whether the model is made as sure as they are after training, see `training.corrections`.
    """

    weights: Annotated[list[PublishedFolder], Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    as_sure: bool = False


class Training(Strict):
    """The training recipe: AdamW; by default under a one-cycle schedule, fixed length, no early stopping.

    Attributes:
        epochs: the length; with `watch.patience`, the longest.
        batch_size: faces a step.
        learning_rate: the highest.
        schedule: how the learning rate changes.
        weight_decay: decoupled from the gradient, as a share of the learning rate.
        watch: what early stopping and the plateau schedule look at.
        average: momentum of the moving average of the weights that is kept, e.g. 0.999; 0 is off.
        age_loss: of every head that answers a number: absolute, squared or Huber error (5 years).
        label_smoothing: of classes.
        balanced: heads whose classes weigh the same in training, however many faces each has.
        loss_weights: head -> weight in the sum; by default 1, and for an age that ten years count as one nat.
        priors: head of an attribute -> share of the faces that have it in use, see `training.corrections`.
            Cross-validation leaves it out. Not with `teachers`, whose answers have rates of their own.
        augment: random changes of the faces.
        teachers: models to learn classes from.
        start: a published model whose weights this training starts from, or several, see
            `pocketface.training.fit.start_from`.
        start_share: of the weights that it starts from, in their mean with the trained ones, which is kept:
            Wortsman and others, "Robust Fine-Tuning of Zero-Shot Models", 2022.
        only: heads that learn; the others answer as they start.
        age_temperature: whether the logits of an `expected` age are divided by one number after training, see
            `pocketface.training.corrections`.
    """

    epochs: Count
    batch_size: Annotated[int, Field(ge=1, le=8192)] = 64
    learning_rate: LearningRate = 2e-3
    schedule: Schedule = Plain()
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-4
    watch: Watch | None = None
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    age_loss: Literal["mae", "mse", "huber"] = "mae"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    balanced: list[str] = []
    loss_weights: dict[str, Annotated[float, Field(ge=0, le=10_000)]] = {}
    priors: dict[str, Annotated[float, Field(gt=0, lt=1)]] = {}
    augment: Augment = Augment()
    teachers: Teachers | None = None
    start: Annotated[list[PublishedFolder], BeforeValidator(_listed)] = []
    start_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    only: list[str] = []
    age_temperature: bool = False

    @model_validator(mode="after")
    def _what_is_steered_is_watched(self) -> "Training":
        if isinstance(self.schedule, Plateau) and self.watch is None:
            raise ValueError("a plateau schedule needs something to look at: add `watch: {metric: ...}`")
        if self.average and self.watch and self.watch.patience:
            raise ValueError(
                "averaged weights are those of the last epoch: drop `average` or `watch.patience`"
            )
        if self.priors and self.teachers:
            raise ValueError("priors: teachers answer at the rates that they have; leave these out")
        if self.start_share and not self.start:
            raise ValueError("start_share: there are no weights to keep a share of; name a `start`")
        if self.only and not self.start:
            raise ValueError("only: the other heads would answer at random; name a `start` that has them")
        if classless := sorted(set(self.priors) - set(CELEBA_ATTRIBUTES)):
            raise ValueError(f"priors: {', '.join(classless)} is no attribute with a `yes` and a `no`")
        return self

    @property
    def published(self) -> list[str]:
        """The folders of published models that it starts or learns from."""
        taught = self.teachers.weights if self.teachers else []
        return list(dict.fromkeys([*self.start, *taught]))


class Model(Strict):
    """One model of a study: what it is built as, what it sees, what it answers, where its weights are from.

    Attributes:
        dataset: what it is trained on; of fetched weights, whose faces it is calibrated and measured on.
        architecture, options: what builds it, see `pocketface.models`.
        input: its window of a face.
        heads: what it answers; of an own network, each with what it means, which becomes `own_heads`, see
            `pocketface.layers.own`.
        training: the recipe of a model under `models:`.
        weights: of a model under `fetched:`: a name under `weights` in `data/sources.yaml`, or a published
            folder `weights/NAME`.
        file, sha256: instead of `weights`: somebody's own network, see `pocketface.importing.network`, and
            its hash, by which a change is noticed; its architecture is then `own`.
        preprocess: of an own network: what its pixels were.
        licence: of an own network: its terms.
    """

    dataset: Name
    architecture: Name = OWN
    options: dict[str, Option] = {}
    input: Input
    heads: Annotated[list[str], Field(min_length=1)]
    own_heads: dict[Head, OwnHead] = {}
    training: Training | None = None
    weights: Annotated[str, StringConstraints(pattern=r"^(weights/)?\w[\w.+-]*$")] | None = None
    file: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    sha256: Sha256 | None = None
    preprocess: Preprocess = Preprocess()
    licence: Annotated[str, StringConstraints(max_length=500)] = "its owner's"

    @model_validator(mode="before")
    @classmethod
    def _heads_may_say_what_they_mean(cls, stanza: Any) -> Any:
        if isinstance(stanza, dict) and isinstance(stanza.get("heads"), dict):
            return stanza | {"heads": list(stanza["heads"]), "own_heads": stanza["heads"]}
        return stanza

    @model_validator(mode="after")
    def _trained_or_fetched(self) -> "Model":
        if [self.training, self.weights, self.file].count(None) != 2:
            raise ValueError(
                "needs either `training` (under models:), or `weights` or `file` (under fetched:)"
            )
        if self.training and self.training.age_temperature and self.options.get("age") != "expected":
            raise ValueError("age_temperature: only an age with `options: {age: expected}` has logits")
        own = self.file is not None
        if own != (self.architecture == OWN) or own != bool(self.own_heads):
            raise ValueError("a `file` has no architecture, and `heads` that say what its outputs mean")
        for head, meant in self.own_heads.items():
            meant.meaning(head)
        return self

    @property
    def recipe(self) -> Training:
        """How it is trained; a `PocketfaceError` where its weights are fetched."""
        if self.training is None:
            raise PocketfaceError(f"its weights are fetched ({self.weights}), it is not trained here")
        return self.training

    @property
    def learned(self) -> list[str]:
        """The heads that it learns."""
        return [head for head in self.heads if head in (self.recipe.only or self.heads)]


MIX = "mix"
"""The dataset of a model that is trained on all those of the study's `mix` at once."""


def known(field: str, name: str, names: list[str]) -> None:
    """Raises a `ValueError` that names the field unless the name is one of these."""
    if name not in names:
        raise ValueError(f"{field}: no {name!r}; there are {', '.join(names)}")


class Plan(Strict):
    """What training reads of a study.

    Attributes:
        study: its name, and that of its report and baseline.
        seed: of every random choice.
        threads: CPU threads of training; the weights' bytes depend on it.
        datasets, models: what to make, by name. `models` are all of them, the fetched ones last.
        fetched: those whose weights are fetched; the graph has another first stage for them.
        cross_validate: model -> number of folds.
        mix: datasets that a model with the dataset `mix` is trained on together, the main one first. A label
            that one of them lacks weighs nothing there.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    study: Name
    seed: Seed
    threads: Threads
    datasets: dict[Name, Dataset]
    models: dict[Name, Model]
    fetched: dict[Name, Model] = {}
    cross_validate: dict[Name, Annotated[int, Field(ge=2, le=100)]] = {}
    mix: list[Name] = []

    @model_validator(mode="before")
    @classmethod
    def _models_are_all(cls, params: Any) -> Any:
        if not isinstance(params, dict):
            return params
        models, fetched = params.get("models"), params.get("fetched") or {}
        if not (isinstance(models, dict) and isinstance(fetched, dict)):
            return params
        for name in models:
            if name in fetched and models[name] != fetched[name]:
                raise ValueError(f"fetched.{name}: there is a models.{name} too; give it another name")
        return params | {"models": models | fetched, "fetched": fetched}

    @model_validator(mode="after")
    def _names_resolve(self) -> "Plan":
        for name in self.mix:
            known("mix", name, list(self.datasets))
        for name, model in self.models.items():
            known(f"models.{name}.dataset", model.dataset, [*self.datasets, *([MIX] if self.mix else [])])
            known(f"models.{name}.architecture", model.architecture, [*architecture_names(), OWN])
            for head in model.heads:
                known(f"models.{name}.heads", head, list(HEADS if model.file is None else model.heads))
            if (model.training is None) != (name in self.fetched):
                raise ValueError(
                    f"{name}: what has `training` stands under models, "
                    "what has `weights` or `file` under fetched"
                )
            for field in ("only", "loss_weights", "balanced", "priors") if model.training else ():
                there = model.heads if field == "only" else model.learned
                if unknown := sorted(set(getattr(model.training, field)) - set(there)):
                    learns = "" if field == "only" else " that it learns"
                    raise ValueError(f"models.{name}.training.{field}: no head {unknown}{learns}")
        for name in self.cross_validate:
            known("cross_validate", name, [model for model in self.models if model not in self.fetched])
            if self.models[name].recipe.published:
                raise ValueError(
                    f"cross_validate.{name}: what it starts or learns from has seen the faces of every fold"
                )
        return self

    def trained_on(self, model: str) -> tuple[str, ...]:
        """The datasets of a model, the main one first."""
        dataset = self.models[model].dataset
        return tuple(self.mix) if dataset == MIX else (dataset,)
