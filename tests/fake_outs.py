"""Writes by hand what the pipeline's stages would leave, for tests of what reads it.

Two models on three datasets at three levels; `expression/int8` could not be made. All numbers come from a
seed; there are no pictures.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import yaml

from pocketface.cards import ModelCard, VariantCard, write_card
from pocketface.core.files import sha256, write_json
from pocketface.core.labels import EXPRESSIONS, FAIRFACE_RACES, GENDERS, RACES, Output, age_band
from pocketface.results.measure import measure
from pocketface.results.table import RESULTS
from pocketface.study import Study

LEVELS = ("float32", "float16", "int8")
FAILED = ("expression", "int8")
REASON = "no kernel for CONV_2D | int8"
SIZES = {"float32": 1_203_456, "float16": 612_345, "int8": 331_000}
FACES = 240
WAVES = (5.0, 0.0, 0.0, 5.0, 1.0, 1.0, 1.0, 1.0)
"""Of a look, see `pocketface.evaluation.looks`."""
NOISE = {"float32": 0.0, "float16": 0.01, "int8": 0.2}

STUDY = {
    "study": "tiny",
    "seed": 1,
    "threads": 2,
    "benchmark": {"runs": 50, "warmup": 5},
    "datasets": {
        "utkface": {"crop": {}},
        "fer2013": {"sample": 0.5, "crop": {"policy": "as_is", "size": 48, "channels": 1}},
        "photos": {"crop": {"policy": "largest", "margin": 0.6}},
    },
    "holdout": "photos",
    "models": {
        "age_gender": {
            "dataset": "utkface",
            "architecture": "compact",
            "input": {"size": 96},
            "heads": ["age", "gender"],
            "training": {"epochs": 3, "learning_rate": 0.002},
        },
        "expression": {
            "dataset": "fer2013",
            "architecture": "compact",
            "input": {"size": 48, "channels": 1},
            "heads": ["expression"],
            "training": {"epochs": 3},
        },
    },
    "levels": {level: {} for level in LEVELS},
}
ONE = STUDY | {"models": {"age_gender": STUDY["models"]["age_gender"]}}
"""With one model: a report of it takes half the time."""
OUTPUTS = {
    "age": Output(kind="number", unit="years"),
    "gender": Output(kind="classes", labels=GENDERS),
    "expression": Output(kind="classes", labels=EXPRESSIONS),
}
HOST = {"machine": "x86_64", "cpu": "Imagined CPU", "cores": 2, "system": "Linux"}


@dataclass(frozen=True)
class Outs:
    """The study and the folder that holds its outs."""

    study: Study
    root: Path


def write_outs(root: Path, params: dict[str, Any] = STUDY, faces: int = FACES) -> Outs:
    """Writes everything below `root`, with so many faces of a model's own dataset."""
    made = _made(yaml.safe_dump(params, sort_keys=False), faces, tuple(RACES))
    shutil.copytree(made.name, root, dirs_exist_ok=True)
    return Outs(Study.model_validate(params), root)


def copy_report(outs: Outs) -> Path:
    """The folder of the report of `STUDY`; it is made once and copied."""
    return Path(shutil.copytree(_reported().name, outs.root / "reports" / outs.study.study))


@cache
def _made(params: str, faces: int, races: Sequence[str]) -> tempfile.TemporaryDirectory:
    """What `write_outs` copies."""
    folder = tempfile.TemporaryDirectory()
    _write_outs(Path(folder.name), yaml.safe_load(params), faces)
    return folder


@cache
def _reported() -> tempfile.TemporaryDirectory:
    from pocketface.report.report import write_report

    folder = tempfile.TemporaryDirectory()
    outs = write_outs(Path(folder.name) / "outs")
    shutil.copytree(write_report(outs.study, outs.root), folder.name, dirs_exist_ok=True)
    shutil.rmtree(outs.root)
    return folder


def _write_outs(root: Path, params: dict[str, Any], faces: int) -> None:
    study = Study.model_validate(params)
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    write_sources(root / "data/sources.yaml")
    for name in study.datasets:
        write_index(root / "data/faces" / name)
    for model in study.models:
        write_model(study, model, root / "models" / model)
        for level in LEVELS:
            write_variant(study, model, level, root, faces=faces)
    write_results(Outs(study, root))


def write_results(outs: Outs, by: Sequence[str] = ()) -> None:
    """Measures the answers, as stage `results` does."""
    own = {model: outs.study.trained_on(model) for model in outs.study.models}
    measure(own, list(outs.study.levels), outs.study.margins, outs.root, by).write(outs.root / RESULTS)


def write_publishable(root: Path) -> Outs:
    """The same, with weights that can be packed, and the params among the studies."""
    made = write_outs(root)
    (root / "studies").mkdir()
    (root / f"studies/{STUDY['study']}.yaml").write_text(yaml.safe_dump(STUDY))
    with h5py.File(root / "models/age_gender/model.weights.h5", "w") as file:
        file.attrs["of"] = "a test"
        file["layers/dense/vars/0"] = np.linspace(-1, 1, 5000, dtype=np.float32).reshape(50, 100)
        file["layers/dense/vars/1"] = np.zeros(2, np.float32)
        file["optimizer/vars/1"] = np.ones(5000, np.float32)
    return made


def write_sources(path: Path) -> None:
    datasets = {
        name: {"title": name.upper(), "licence": f"terms of {name}", "files": [{"mirror": f"{name}.zip"}]}
        for name in (*STUDY["datasets"], "fairface")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"datasets": datasets}))


def write_index(folder: Path) -> None:
    folder.mkdir(parents=True)
    status = ["ok"] * 17 + ["no_face", "no_face", "bad_name"]
    split = ["train"] * 15 + ["val"] * 5
    same_as = pd.Series([None] * len(status), dtype="str")
    table = pd.DataFrame({"split": split, "status": status, "same_as": same_as})
    table.to_parquet(folder / "index.parquet")


def model_card(study: Study, model: str) -> ModelCard:
    stanza = study.models[model]
    return ModelCard(
        model=model,
        architecture=stanza.architecture,
        dataset=stanza.dataset,
        licence=f"terms of {stanza.dataset}",
        crop=study.datasets[stanza.dataset].crop,
        input=stanza.input,
        outputs={head: OUTPUTS[head] for head in stanza.heads},
        parameters=300_000,
        trainable_parameters=299_000,
        macs=21_000_000,
    )


def write_model(study: Study, model: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    write_card(folder, model_card(study, model))
    (folder / "model.weights.h5").write_bytes(f"weights of {model}".encode())
    history: dict[str, list[float]] = {
        "epoch": [0, 1, 2],
        "loss": [2.0, 1.5, 1.2],
        "val_loss": [2.1, 1.7, 1.6],
    }
    for head in study.models[model].heads:
        values = [9.0, 7.5, 6.5] if head == "age" else [0.5, 0.7, 0.8]
        name = "mae" if head == "age" else "accuracy"
        history |= {f"{head}_{name}": values, f"val_{head}_{name}": [value * 0.97 for value in values]}
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)


def write_variant(
    study: Study, model: str, level: str, root: Path, noise: float | None = None, faces: int = FACES
) -> None:
    """Card, file, evaluation and timing of one variant; `noise` sets how wrong its answers are."""
    folder, failed = root / "variants" / model / level, (model, level) == FAILED
    about = model_card(study, model).model_dump() | {"level": level}
    if failed:
        write_card(folder, VariantCard.model_validate(about | {"status": "failed", "reason": REASON}))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "model.tflite"
        file.write_bytes(f"{model} at {level}".encode())
        facts = {"size_bytes": SIZES[level], "sha256": sha256(file)}
        write_card(folder, VariantCard.model_validate(about | facts))
    write_evaluation(study, model, level, root, NOISE[level] if noise is None else noise, faces)
    write_timing(model, level, root)


def write_evaluation(
    study: Study, model: str, level: str, root: Path, noise: float, faces: int = FACES
) -> None:
    folder, failed = root / "evaluation" / model / level, (model, level) == FAILED
    own = study.models[model].dataset
    counts = {} if failed else {own: faces, **({"photos": 18} if own == "utkface" else {})}
    tables = {name: answers(name, n, noise) for name, n in counts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    run = {"status": "failed", "reason": REASON} if failed else {"status": "ok", "reason": None}
    write_json(folder / "run.json", run | {"kernels": "imagined kernels"})
    table = pd.concat(tables.values()) if tables else pd.DataFrame({"dataset": [], "image": []}, dtype=object)
    table.to_parquet(folder / "predictions.parquet", index=False)


def answers(dataset: str, n: int, noise: float) -> pd.DataFrame:
    """Truths and answers for `n` faces: the same ones for every level but for the noise."""
    random = np.random.default_rng(len(dataset))
    images = [f"{i}.jpg" for i in range(n)]
    table = pd.DataFrame({"dataset": dataset, "split": "val", "image": images})
    table["pixels"] = [f"{dataset}{i}" for i in range(n)]
    table["look"] = [[100.0, 90.0, 80.0, 50.0, 9.0 + i % 3, *WAVES] for i in range(n)]
    table["source_sha"], table["crop"] = table["pixels"] + " in a file", table["pixels"] + " stored"
    table["box"] = [[i, i, i + 90, i + 90] for i in range(n)]
    if dataset == "fer2013":
        table["expression"] = random.choice(EXPRESSIONS, n)
        return _answer(table, "expression", EXPRESSIONS, 0.35 + noise, random)
    ages = random.integers(1, 90, n)
    if dataset == "photos":
        table["age_group"] = np.where(ages >= 65, "elderly", "young")
    elif dataset == "fairface":
        table["age_band"] = [age_band(age) for age in ages]
        table["race"] = random.choice(FAIRFACE_RACES, n)
    else:
        table["age"] = ages.astype(float)
        table["race"] = random.choice(RACES, n)
    table["gender"] = random.choice(GENDERS, n)
    table["age_pred"] = ages + random.normal(0, 7, n) * (1 + noise)
    return _answer(table, "gender", GENDERS, 0.1 + noise, random)


def _answer(
    table: pd.DataFrame, head: str, labels: tuple[str, ...], wrong: float, random: np.random.Generator
) -> pd.DataFrame:
    guesses, mistaken = random.choice(labels, len(table)), random.random(len(table)) < wrong
    table[f"{head}_pred"] = np.where(mistaken, guesses, table[head])
    sure = random.uniform(0.5, 1, len(table))
    for label in labels:
        rest = (1 - sure) / (len(labels) - 1)
        table[f"{head}_prob_{label}"] = np.where(table[f"{head}_pred"] == label, sure, rest)
    return table


def write_timing(model: str, level: str, root: Path, ms: float = 2.0, ratio: float | None = None) -> None:
    about = {"model": model, "level": level, "host": HOST, "kernels": "imagined kernels"}
    if (model, level) == FAILED:
        rest = {"status": "failed", "reason": REASON}
    else:
        median = ms * (1 - 1.5 * NOISE[level])
        one = {"min_ms": 0.9 * median, "median_ms": median, "p95_ms": 1.4 * median, "runs": 50}
        two = {name: value if name == "runs" else 0.6 * value for name, value in one.items()}
        ratio = 1 - 1.5 * NOISE[level] if ratio is None else ratio
        rest = {"status": "ok", "threads": {"1": one, "2": two}, "float32_ratio": ratio}
    write_json(root / "timings" / model / f"{level}.json", about | rest)
