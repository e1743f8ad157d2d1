"""A study: one `params.yaml`, read and checked.

    study = load_study()                      # ./params.yaml
    study.datasets["utkface"].sample
    study.models["age_gender"].recipe.epochs

The same file drives `dvc.yaml`, so a setting is declared once. An unknown name or an impossible value is
a `PocketfaceError` that names the file and the field.
"""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pocketface.datasets import names as dataset_names
from pocketface.errors import PocketfaceError
from pocketface.labels import CELEBA_ATTRIBUTES, HEADS, NUMBERS
from pocketface.models import names as architecture_names
from pocketface.tflite.levels import LEVELS

PARAMS = Path("params.yaml")
MIX = "mix"
"""What a model names as its dataset to be trained on all those of the study's `mix` at once."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
PublishedFolder = Annotated[str, StringConstraints(pattern=r"^weights/\w[\w.+-]*$")]
"""Relative to the root of the repository."""
Fraction = Annotated[float, Field(gt=0, le=1)]


class Strict(BaseModel):
    """A stanza of the params file: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Crop(Strict):
    """How faces are cut out of a dataset's pictures, and how they are stored.

    Attributes:
        policy: `one` rejects a picture unless it shows one face; `largest` takes the largest of
            several; `as_is` takes the whole picture as a face crop, without detection.
        detector: dlib's `hog` or `cnn`.
        upsample: how often the picture is doubled before detection; 0 suits tight crops, 1 finds
            faces from about 40 pixels on.
        geometry: `chip` is aligned to the eyes and nose (rotation, scale); `type_a` and `type_b` are
            the two of the FaceNet report.
        margin: of a `chip`: how far it reaches beyond dlib's mean face on every side, as a share of
            that face's width.
        epsilon: of `type_a`: its scale; 0.5 as in the report.
        shift: of `type_a`: how far the crop is moved up, as a share of the picture's height.
        size: side of the stored crop, in pixels.
        channels: 3 for RGB, 1 for grey.
    """

    policy: Literal["one", "largest", "as_is"] = "one"
    detector: Literal["hog", "cnn"] = "hog"
    upsample: Annotated[int, Field(ge=0, le=3)] = 0
    geometry: Literal["chip", "type_a", "type_b"] = "chip"
    margin: Annotated[float, Field(ge=0, le=2)] = 0.25
    epsilon: Annotated[float, Field(gt=0, le=2)] = 0.5
    shift: Annotated[float, Field(ge=-1, le=1)] = 0.2
    size: Annotated[int, Field(ge=16, le=1024)] = 120
    channels: Literal[1, 3] = 3


class Dataset(Strict):
    """One dataset of a study.

    Attributes:
        sample: keeps a fixed fraction of its pictures, chosen by a hash of the name.
        crop: how faces are cut out.
        contradictory: whether copies of a picture that have different labels are used, each with its own;
            by default none of them is.
    """

    sample: Fraction = 1.0
    crop: Crop
    contradictory: bool = False


class Input(Strict):
    """What a model sees: a square window of the aligned face, `[size, size, channels]`, raw 0..255.

    Attributes:
        margin: as `Crop.margin`; at most that of the dataset, so the window lies inside the crop.
        shift: how far the window is moved down, as a share of the mean face's width (negative: up).
    """

    size: Annotated[int, Field(ge=16, le=512)]
    channels: Literal[1, 3] = 3
    margin: Annotated[float, Field(ge=0, le=2)] = 0.2
    shift: Annotated[float, Field(ge=-1, le=1)] = 0.0


class Augment(Strict):
    """Random changes of training faces. All off by default.

    Attributes:
        flip: mirror half of the faces.
        translate: shift by up to this share of the side.
        zoom: scale by up to this share, in or out.
        rotate: turn by up to this many degrees.
        brightness: add up to this share of 255.
        contrast: scale the contrast by up to this share.
        saturation: scale the saturation by up to this share; grey faces have none.
        blur: average 2x2 pixels in this share of the faces.
        erase: put noise over a random rectangle in this share of the faces (Zhong et al., 2020).
        mixup: alpha of the beta distribution that weighs two faces laid over each other (Zhang et al., 2018).
        fourfold: an epoch holds every face four times, as it is, mirrored, blurred 2x2, and both: the set of
            the FaceNet report. Instead of `flip` and `blur`, which draw from the same four at random.
    """

    flip: bool = False
    translate: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    rotate: Annotated[float, Field(ge=0, le=90)] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    blur: Annotated[float, Field(ge=0, le=1)] = 0.0
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0
    mixup: Annotated[float, Field(ge=0)] = 0.0
    fourfold: bool = False

    @model_validator(mode="after")
    def _fourfold_is_flip_and_blur(self) -> "Augment":
        if self.fourfold and (self.flip or self.blur):
            raise ValueError(
                "fourfold holds every face mirrored and blurred already: leave out flip and blur"
            )
        return self


class OneCycle(Strict):
    """A linear rise over the first tenth, then a half cosine down to nothing."""

    kind: Literal["one_cycle"] = "one_cycle"


class Constant(Strict):
    """The same learning rate throughout."""

    kind: Literal["constant"]


class Cosine(Strict):
    """A half cosine from the learning rate down to nothing (Loshchilov, Hutter, 2017)."""

    kind: Literal["cosine"]


class Piecewise(Strict):
    """The learning rate times a factor that changes at set shares of the training.

    The four steps of the UTKFace project, a quarter of the training each, from a learning rate of 0.001:
    `{kind: piecewise, at: [0.25, 0.5, 0.75], factors: [1, 0.5, 0.1, 0.095]}`.
    """

    kind: Literal["piecewise"]
    at: list[Annotated[float, Field(gt=0, lt=1)]]
    factors: list[Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _a_factor_before_and_after_every_change(self) -> "Piecewise":
        if len(self.factors) != len(self.at) + 1 or sorted(set(self.at)) != self.at:
            raise ValueError("`at` must rise, and there is one factor more than there are changes")
        return self


class Plateau(Strict):
    """The learning rate falls by `factor` after `patience` epochs without a better watched metric."""

    kind: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.3
    patience: Annotated[int, Field(ge=1)] = 3


Schedule = Annotated[OneCycle | Constant | Cosine | Piecewise | Plateau, Field(discriminator="kind")]


class Watch(Strict):
    """A metric that steers the training, measured after every epoch on faces kept out of it.

    They are a share of the `train` split, chosen by hash, and never of `val` or `test`: what has chosen the
    epoch or the learning rate cannot say how good the result is.

    Attributes:
        metric: `loss`, or `HEAD_mae` of a number, or `HEAD_accuracy` of classes.
        share: of the train faces.
        patience: the training ends after so many epochs without a better value, and the weights of the best
            epoch are kept. Without it the training runs to its end and the last weights are kept.
    """

    metric: str = "loss"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=1)] | None = None


class Teachers(Strict):
    """Published models that a model learns from, beside the labels (Hinton, Vinyals, Dean, 2015).

    Attributes:
        weights: folders that `pocketface publish` has made; what several answer is averaged.
        share: of a face's target that is theirs; the label has the rest. A face without the label learns from
            them alone: so the faces of other datasets, named in `mix`, can teach what nobody labelled there.
    """

    weights: Annotated[list[PublishedFolder], Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)] = 0.5


class Training(Strict):
    """The training recipe: AdamW; by default under a one-cycle schedule, fixed length, no early stopping.

    Attributes:
        epochs: the length; with `watch.patience`, the longest.
        batch_size: faces a step.
        learning_rate: the highest.
        schedule: how the learning rate changes.
        weight_decay: decoupled from the gradient, as a share of the learning rate.
        watch: what early stopping and the plateau schedule look at.
        average: momentum of a moving average of the weights, which is what is kept and measured, for example
            0.999 a step; 0 is off.
        age_loss: of every head that answers a number: absolute, squared or Huber error (5 years).
        label_smoothing: of classes.
        balanced: heads whose classes weigh the same in training, however many faces each has.
        loss_weights: head -> weight in the sum; by default 1, and for an age that ten years count as one nat.
        priors: head of an attribute -> share of the faces that have it where the model will be used, if it is
            another one in training; see `pocketface.training.priors`. Cross-validation, whose faces are those
            of training, leaves it out. Not with `teachers`, whose answers have rates of their own.
        augment: random changes of the faces.
        teachers: of the classes, whose labels are partly wrong and tell nothing of what is alike.
        start: a published model whose weights this training starts from; it has all layers of this one.
    """

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    schedule: Schedule = OneCycle()
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    watch: Watch | None = None
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    age_loss: Literal["mae", "mse", "huber"] = "mae"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    balanced: list[str] = []
    loss_weights: dict[str, float] = {}
    priors: dict[str, Annotated[float, Field(gt=0, lt=1)]] = {}
    augment: Augment = Augment()
    teachers: Teachers | None = None
    start: PublishedFolder | None = None

    @model_validator(mode="after")
    def _what_is_steered_is_watched(self) -> "Training":
        if isinstance(self.schedule, Plateau) and self.watch is None:
            raise ValueError("a plateau schedule needs something to look at: add `watch: {metric: ...}`")
        if self.average and self.watch and self.watch.patience:
            raise ValueError(
                "averaged weights are those of the last epoch: drop `average` or `watch.patience`"
            )
        if self.priors and self.teachers:
            raise ValueError(
                "priors: teachers answer at the rates that they were made for; give them the priors, "
                "and leave these out"
            )
        if classless := sorted(set(self.priors) - set(CELEBA_ATTRIBUTES)):
            raise ValueError(f"priors: {', '.join(classless)} is no attribute with a `yes` and a `no`")
        return self

    @property
    def published(self) -> list[str]:
        """The folders of published models that it starts or learns from."""
        taught = self.teachers.weights if self.teachers else []
        return list(dict.fromkeys([*([self.start] if self.start else []), *taught]))


class Model(Strict):
    """One model of a study: what it is built as, what it sees, what it answers, where its weights are from.

    Attributes:
        dataset: what it is trained on; of fetched weights, whose faces it is calibrated and measured on.
        architecture, options: what builds it, see `pocketface.models`.
        input: its window of a face.
        heads: what it answers.
        training: the recipe of a model that is trained here, under `models:`.
        weights: of a model under `fetched:`: a name under `weights` in `data/sources.yaml`, or a folder of
            this repository that `pocketface publish` has made, `weights/NAME`.
    """

    dataset: Name
    architecture: Name
    options: dict[str, Any] = {}
    input: Input
    heads: Annotated[list[str], Field(min_length=1)]
    training: Training | None = None
    weights: Annotated[str, StringConstraints(pattern=r"^(weights/)?\w[\w.+-]*$")] | None = None

    @model_validator(mode="after")
    def _trained_or_fetched(self) -> "Model":
        if (self.training is None) == (self.weights is None):
            raise ValueError("needs either `training` (under models:) or `weights` (under fetched:)")
        return self

    @property
    def recipe(self) -> Training:
        """How it is trained.

        Raises:
            PocketfaceError: it is not: its weights are fetched.
        """
        if self.training is None:
            raise PocketfaceError(f"its weights are fetched ({self.weights}), it is not trained here")
        return self.training


class Level(Strict):
    """Settings of one quantization level; those that a level has no use for change nothing.

    Attributes:
        calibration: number of train faces that the ranges of integer activations are measured on.
        ranges: how they are chosen, see `pocketface.tflite.ranges`.
        per_channel: whether every output channel of a weight tensor has its own scale.
        rounding: of the weights: each to the nearest step, or so that the answers to the calibration faces
            change least, see `pocketface.tflite.rounding`, as `int4_weights` and `int16x8` always are.
        max_drop: of `mixed_int8`: metric -> how much worse than float32 it may be, in years or as a share;
            by default 0.05 years and 0.003.
        epochs, learning_rate: of `qat_int8`'s fine-tuning.
    """

    calibration: Annotated[int, Field(ge=1, le=500)] = 100
    ranges: Literal["minmax", "percentile", "mse"] = "minmax"
    per_channel: bool = True
    rounding: Literal["nearest", "gptq"] = "nearest"
    max_drop: dict[str, Annotated[float, Field(ge=0)]] = {}
    epochs: Annotated[int, Field(ge=1)] = 5
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4


class Benchmark(Strict):
    """Latency measurement.

    Attributes:
        runs: per thread setting, after the warm-up runs.
        warmup: runs that do not count.
        profile: whether LiteRT's own profiler is run as well, see `pocketface.latency.profile`.
    """

    runs: Annotated[int, Field(ge=3)] = 50
    warmup: Annotated[int, Field(ge=0)] = 5
    profile: bool = False


class Champion(Strict):
    """What the champion of a task may cost: of the variants within both limits, the best figure wins.

    Null is no limit.

    Attributes:
        max_size_mb: of the file, in millions of bytes.
        max_latency_ms: median time for one face with one thread, on the machine that measured it.
    """

    max_size_mb: Annotated[float, Field(gt=0)] | None = 1.0
    max_latency_ms: Annotated[float, Field(gt=0)] | None = 10.0

    def __str__(self) -> str:
        size = "" if self.max_size_mb is None else f"{self.max_size_mb:g} MB"
        latency = "" if self.max_latency_ms is None else f"{self.max_latency_ms:g} ms a face"
        return " and ".join(limit for limit in (size, latency) if limit)


class Study(Strict):
    """The whole params file.

    Attributes:
        study: its name, and that of its report and baseline.
        seed: of every random choice.
        threads: CPU threads of training; the weights' bytes depend on it.
        datasets, models, levels: what to make, by name. `models` are all of them, the fetched ones last.
        fetched: those whose weights are fetched. They stand apart in the file because the graph, which is
            drawn from it, has another first stage for them.
        holdout: a dataset that no model is trained on and every model is measured on.
        benchmark: how latency is measured.
        harness: datasets of uncropped pictures that are measured twice: as they should be, and as a careless
            harness shows them, see `pocketface.evaluation.squeezed`.
        champion: limits for the variant that MLflow's registry recommends; no stage depends on them.
        cross_validate: model -> in how many folds it is cross-validated.
        mix: datasets that a model with the dataset `mix` is trained on together, the main one first. A label
            that one of them lacks weighs nothing there.
    """

    study: Name
    seed: int
    threads: Annotated[int, Field(ge=1)]
    datasets: dict[Name, Dataset]
    models: dict[Name, Model]
    fetched: dict[Name, Model] = {}
    levels: dict[Name, Level]
    holdout: Name
    benchmark: Benchmark
    champion: Champion = Champion()
    cross_validate: dict[Name, Annotated[int, Field(ge=2)]] = {}
    mix: list[Name] = []
    harness: list[Name] = []

    @model_validator(mode="before")
    @classmethod
    def _models_are_all(cls, params: Any) -> Any:
        """Adds the fetched models to `models`."""
        if not (isinstance(params, dict) and isinstance(params.get("models"), dict)):
            return params
        models, fetched = params["models"], params.get("fetched") or {}
        for name in models:
            if name in fetched and models[name] != fetched[name]:
                raise ValueError(f"fetched.{name}: there is a models.{name} too; give it another name")
        return params | {"models": models | fetched, "fetched": fetched}

    @model_validator(mode="after")
    def _names_resolve(self) -> "Study":
        for name in self.datasets:
            _known(f"datasets.{name}", name, dataset_names())
        for name, level in self.levels.items():
            _known(f"levels.{name}", name, list(LEVELS))
            for metric in level.max_drop:
                _known(f"levels.{name}.max_drop", metric, [main_metric(head) for head in HEADS])
        _known("holdout", self.holdout, list(self.datasets))
        for name in self.harness:
            _known("harness", name, list(self.datasets))
        for name in self.mix:
            _known("mix", name, list(self.datasets))
        for name in self.cross_validate:
            _known("cross_validate", name, [model for model in self.models if model not in self.fetched])
            if self.models[name].recipe.published:
                raise ValueError(
                    f"cross_validate.{name}: what it starts or learns from has seen the faces of every fold"
                )
        for name, model in self.models.items():
            _known(f"models.{name}.dataset", model.dataset, [*self.datasets, *([MIX] if self.mix else [])])
            _known(f"models.{name}.architecture", model.architecture, architecture_names())
            for head in model.heads:
                _known(f"models.{name}.heads", head, list(HEADS))
            if self.holdout in self.trained_on(name):
                raise ValueError(f"models.{name}.dataset: {self.holdout} is the hold-out, not for training")
            if bool(model.weights) != (name in self.fetched):
                raise ValueError(
                    f"{name}: what has `training` stands under models, what has `weights` under fetched"
                )
            for field, heads in _heads_of(model.training).items():
                if unknown := sorted(set(heads) - set(model.heads)):
                    raise ValueError(f"models.{name}.training.{field}: no head {unknown}")
            for dataset in (*self.trained_on(name), self.holdout):
                _covers(f"models.{name}.input", model.input, dataset, self.datasets[dataset].crop)
        return self

    def trained_on(self, model: str) -> tuple[str, ...]:
        """The datasets of a model, the main one first."""
        dataset = self.models[model].dataset
        return tuple(self.mix) if dataset == MIX else (dataset,)


def main_metric(head: str) -> str:
    """The metric that stands for a head, e.g. `age_mae`."""
    return f"{head}_{'mae' if head in NUMBERS else 'accuracy'}"


def _known(field: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise ValueError(f"{field}: no {name!r}; there are {', '.join(names)}")


def _heads_of(training: Training | None) -> dict[str, list[str]]:
    """Field -> the heads it names."""
    if training is None:
        return {}
    return {
        "loss_weights": list(training.loss_weights),
        "balanced": training.balanced,
        "priors": list(training.priors),
    }


def _covers(field: str, model: Input, dataset: str, crop: Crop) -> None:
    """A window wider than the stored crop would show made-up edges."""
    reach = model.margin + abs(model.shift)
    if crop.policy != "as_is" and crop.geometry == "chip" and reach > crop.margin:
        raise ValueError(
            f"{field}: margin and shift reach {reach:g} mean-face widths out, "
            f"datasets.{dataset}.crop.margin stores {crop.margin:g}"
        )


def load_study(path: Path = PARAMS) -> Study:
    """Reads and checks a params file.

    Raises:
        PocketfaceError: the file is missing, is not YAML, or a field is unknown or impossible.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return Study.model_validate(content)
    except FileNotFoundError:
        start = shlex.join(["cp", "studies/starter.yaml", str(path)])
        raise PocketfaceError(f"{path}: no such file; start with `{start}`") from None
    except yaml.YAMLError as error:
        raise PocketfaceError(f"{path}: not valid YAML: {error}") from None
    except ValidationError as error:
        raise PocketfaceError(f"{path}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    """One line per wrong field, named as it stands in the file."""
    lines = []
    for detail in error.errors():
        field = ".".join(str(part) for part in detail["loc"])
        lines.append(f"{field}: {detail['msg']}" if field else detail["msg"])
    return "\n  ".join(lines)
