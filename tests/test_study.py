from pathlib import Path

import pytest
import yaml

from pocketface.core.errors import PocketfaceError
from pocketface.study import Study, load_study
from tiny_training import study


def written(tmp_path: Path, change) -> Path:
    params = study().model_dump(mode="json")
    change(params)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


def small(params: dict) -> dict:
    return params["models"]["small"]


def fetched(params: dict) -> dict:
    return {name: value for name, value in small(params).items() if name != "training"} | {"weights": "known"}


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda p: p["levels"].update(quantized={}), "levels.quantized: no 'quantized'"),
        (lambda p: p["levels"].update(int8={"ranges": "max"}), "levels.int8.ranges"),
        (
            lambda p: p["levels"].update(mixed_int8={"max_drop": {"age": 1}}),
            "levels.mixed_int8.max_drop: no 'age'; there are age_mae",
        ),
        (lambda p: p["datasets"].update(lfw=p["datasets"]["utkface"]), "datasets.lfw: no 'lfw'"),
        (lambda p: small(p).update(dataset="afad"), "models.small.dataset: no 'afad'"),
        (lambda p: small(p).update(dataset="photos"), "photos is the hold-out"),
        (lambda p: small(p).update(dataset="mix"), "models.small.dataset: no 'mix'"),
        (lambda p: (small(p).update(dataset="mix"), p.update(mix=["photos"])), "photos is the hold-out"),
        (lambda p: p.update(mix=["afad"]), "mix: no 'afad'"),
        (lambda p: small(p).update(architecture="resnet"), "models.small.architecture: no 'resnet'"),
        (lambda p: small(p).update(heads=["mood"]), "models.small.heads: no 'mood'"),
        (lambda p: small(p)["training"].update(loss_weights={"mood": 2}), "no head ['mood']"),
        (lambda p: small(p)["training"].update(balanced=["mood"]), "training.balanced: no head ['mood']"),
        (lambda p: small(p)["training"].update(schedule={"kind": "plateau"}), "needs something to look at"),
        (lambda p: small(p)["training"].update(schedule={"kind": "sine"}), "'one_cycle', 'constant'"),
        (
            lambda p: small(p)["training"].update(
                schedule={"kind": "piecewise", "at": [0.5], "factors": [1]}
            ),
            "one factor more",
        ),
        (
            lambda p: small(p)["training"].update(average=0.9, watch={"patience": 3}),
            "drop `average` or `watch.patience`",
        ),
        (
            lambda p: small(p)["training"]["augment"].update(fourfold=True, flip=True),
            "leave out flip and blur",
        ),
        (
            lambda p: small(p)["training"].update(priors={"Bald": 0.1}, teachers={"weights": ["weights/a"]}),
            "teachers answer at the rates",
        ),
        (lambda p: small(p)["training"].update(epochs=0), "models.small.training.epochs"),
        (lambda p: small(p)["training"].update(learning_rat=1), "models.small.training.learning_rat"),
        (lambda p: small(p)["input"].update(margin=0.4), "datasets.utkface.crop.margin stores 0.25"),
        (lambda p: small(p)["input"].update(shift=-0.1), "reach 0.3 mean-face widths"),
        (lambda p: small(p).pop("training"), "needs either `training` (under models:), or `weights` or"),
        (
            lambda p: small(p).update(weights="dlib_age"),
            "needs either `training` (under models:), or `weights` or",
        ),
        (
            lambda p: (small(p).pop("training"), small(p).update(weights="dlib_age")),
            "what has `weights` or `file` under fetched",
        ),
        (
            lambda p: p.update(fetched={"other": small(p)}),
            "what has `training` stands under models",
        ),
        (
            lambda p: p.update(fetched={"small": fetched(p)}),
            "fetched.small: there is a models.small too",
        ),
        (
            lambda p: p.update(fetched={"other": fetched(p)}, cross_validate={"other": 2}),
            "cross_validate: no 'other'",
        ),
        (lambda p: p.update(fetched={"other": fetched(p) | {"weights": "../x"}}), "fetched.other.weights"),
        (lambda p: p.update(fetched=["other"]), "fetched: Input should be a valid dictionary"),
        (
            lambda p: (
                small(p).pop("training"),
                small(p).update(weights="dlib_age"),
                p.update(cross_validate={"small": 2}),
            ),
            "what has `weights` or `file` under fetched",
        ),
        (lambda p: p.update(micro=["lfw"]), "micro: no 'lfw'"),
        (lambda p: p["datasets"]["utkface"].update(sample=0), "datasets.utkface.sample"),
        (lambda p: p.update(holdout="celeba"), "holdout: no 'celeba'"),
        (lambda p: p.pop("models"), "models: Field required"),
        (lambda p: p.update(threads=10**9), "threads: Input should be less than or equal to 256"),
        (lambda p: p.update(seed=-1), "seed"),
        (lambda p: p.update(seed=2**32), "seed"),
        (lambda p: p.update(seed=10**4000), "seed"),
        (lambda p: small(p)["training"].update(learning_rate=float("inf")), "training.learning_rate"),
        (lambda p: small(p)["training"].update(learning_rate=float("nan")), "training.learning_rate"),
        (lambda p: small(p)["training"].update(learning_rate=10**4000), "training.learning_rate"),
        (lambda p: small(p)["training"].update(epochs=10**9), "training.epochs"),
        (lambda p: small(p)["training"].update(batch_size=10**9), "training.batch_size"),
        (lambda p: small(p)["training"].update(weight_decay=float("inf")), "training.weight_decay"),
        (lambda p: small(p)["training"].update(loss_weights={"age": -1}), "training.loss_weights.age"),
        (lambda p: p["levels"].update(qat_int8={"epochs": 10**9}), "levels.qat_int8.epochs"),
        (lambda p: p["levels"].update(qat_int8={"learning_rate": float("inf")}), "qat_int8.learning_rate"),
        (lambda p: p["benchmark"].update(runs=10**9), "benchmark.runs"),
        (lambda p: p.update(champion={"max_size_mb": float("inf")}), "champion.max_size_mb"),
        (lambda p: small(p).update(options={"widths": [8, -1]}), "options.widths: Value error, not from 0"),
        (lambda p: small(p).update(options={"widths": [10**9]}), "options.widths: Value error, not from 0"),
        (lambda p: small(p).update(options={"widths": [8] * 65}), "options.widths: Value error, a list of"),
        (lambda p: small(p).update(options={"widths": [[8]]}), "options.widths: Value error, a list of"),
        (lambda p: small(p).update(options={"widths": {"a": 1}}), "options.widths: Value error, neither"),
        (lambda p: small(p).update(options={"dropout": float("nan")}), "options.dropout: Value error"),
        (lambda p: p.update(study="a" * 101), "study: String should match"),
        (lambda p: small(p).update(options={"weights": "/etc/passwd"}), "options.weights: Value error"),
        (lambda p: small(p).update(options={"weights": "../../etc/passwd"}), "options.weights: Value error"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, change, complaint: str) -> None:
    path = written(tmp_path, change)
    with pytest.raises(PocketfaceError) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)


def test_fetched_models_are_models_that_are_not_trained(tmp_path: Path) -> None:
    path = written(tmp_path, lambda p: p.update(fetched={"known": fetched(p)}))
    study = load_study(path)
    assert list(study.models) == ["small", "known"]
    assert list(study.fetched) == ["known"]
    assert study.models["small"].recipe.epochs == 2
    with pytest.raises(PocketfaceError, match="its weights are fetched"):
        _ = study.models["known"].recipe
    assert Study.model_validate(study.model_dump()) == study


def test_a_missing_file_and_broken_yaml_are_told(tmp_path: Path) -> None:
    missing = tmp_path / "my study.yaml"
    with pytest.raises(PocketfaceError, match=f"^{missing}: no such file; `pocketface study use starter`"):
        load_study(missing)
    (tmp_path / "params.yaml").write_text("study: [")
    with pytest.raises(PocketfaceError, match="not valid YAML"):
        load_study(tmp_path / "params.yaml")
