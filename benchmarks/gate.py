"""Whether the gate finds planted faults, and lets other machines pass: the tables of docs/gate.md.

    python benchmarks/gate.py --starter STARTER --utkface data/raw/utkface/files.zip --write

Two small studies, with the pipeline's own code: `starter`, whose model was trained in STARTER (a repository
after `pocketface run`), on its photographs; and `published`, `weights/age_gender` on 300 faces of UTKFace.
Every fault is planted in a copy of a study that passes, at the stage where it would arise, and all stages
behind it run again. Every machine is a process of its own with other settings, packages, Python or processor
(as QEMU imitates it: `qemu-user` must be installed), from the named stage on; the gate is then asked both
ways, with the baseline of here and with one that was made there. Both kinds are also put to the gate as it
was before (in git at `BEFORE`, by its own rules on metrics). Two hours of one core; what is in `--work` is
not run again, but all is judged again, with the rules of now.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import dlib
import numpy as np
import pandas as pd
import yaml

from pocketface import datasets
from pocketface.cards import MODEL_FILE, ModelCard, read_card, write_card
from pocketface.core.errors import PocketfaceError, exit_cleanly
from pocketface.core.files import write_json, written_whole
from pocketface.core.hashing import unit_hash
from pocketface.cropping import build, geometry
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.evaluation.variants import Variant
from pocketface.faces import selection
from pocketface.faces.index import INDEX, FaceSet
from pocketface.faces.seen import fingerprints
from pocketface.gate import check, update
from pocketface.gate.baseline import Baseline, Rules
from pocketface.gate.compare import compare
from pocketface.levels import convert as converting
from pocketface.results.measure import measure
from pocketface.results.table import RESULTS, Table
from pocketface.study import Study
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.run import Runner, dequantized, quantized

BEFORE = "c4af7ec"
"""The last commit with the gate before."""
RELEASE = "2fa7750^"
"""A commit with other weights in `weights/age_gender`."""
OLDEST = "1.0.1"
"""The first LiteRT that PyPI has."""
NAME, MODEL = "study", "age_gender"
FACES_OF, VIEWS, MODELS, EXPORTED, VARIANTS, ANSWERS = (
    *("data/faces", f"data/views/{MODEL}", f"models/{MODEL}", f"exported/{MODEL}"),
    *(f"variants/{MODEL}", f"evaluation/{MODEL}"),
)
LEVELS = ("float32", "int8")
STEPS = ("crop", "select", "export", "convert", "evaluate", "measure")
VAL, TRAIN, HOLDOUT = 300, 120, 60
"""Pictures."""
PAGE = Path("docs/gate.md")


@dataclass(frozen=True)
class Subject:
    """One study: its params, and where the pictures and weights of its main dataset and hold-out are."""

    study: Study
    pictures: dict[str, Path]
    weights: Path
    rules_before: str

    def run(self, root: Path, start: str = "crop") -> None:
        """All stages from one on, into `root`; other faces do not make the model another one."""
        for step in STEPS[STEPS.index(start) :]:
            if step == "export" != start and (root / EXPORTED).exists():
                continue
            getattr(self, step)(root)

    def crop(self, root: Path) -> None:
        """Stage `crop_faces`."""
        for name, archive in self.pictures.items():
            settings = self.study.datasets[name]
            out = root / FACES_OF / name
            with mock.patch.object(build, "_crop_all", here):
                build.build(name, archive, settings, out)

    def select(self, root: Path) -> None:
        """Stage `select_faces`."""
        main, holdout = (FaceSet.load(root / FACES_OF / name) for name in self.pictures)
        stanza = self.study.models[MODEL]
        selection.save(selection.select(main, holdout, stanza.input, (), fingerprints([])), root / VIEWS)

    def export(self, root: Path) -> None:
        """Stage `export`."""
        from pocketface.levels.export import export  # TensorFlow, which other steps do without
        from pocketface.training.runtime import limit_threads

        limit_threads(self.study.threads)
        export(root / MODELS, root / VIEWS, root / EXPORTED)

    def convert(self, root: Path) -> None:
        """Stage `convert`."""
        for level, settings in self.study.levels.items():
            out = root / VARIANTS / level
            converting.convert(root / EXPORTED, root / VIEWS, level, settings, out, self.study.threads)

    def evaluate(self, root: Path) -> None:
        """Stage `evaluate`."""
        for level in self.study.levels:
            run, predictions = evaluate_variant(root / VARIANTS / level, root / VIEWS)
            with written_whole(root / ANSWERS / level, folder=True) as partial:
                write_json(partial / "run.json", run)
                predictions.to_parquet(partial / "predictions.parquet", index=False)

    def measure(self, root: Path) -> None:
        """Stage `results`."""
        levels, margins = list(self.study.levels), self.study.margins
        measure({MODEL: list(self.pictures)}, levels, margins, root).write(root / RESULTS)


def here(shards: list[build.Shard], workers: int, scheduler: str | None) -> int:
    """Crops in this process."""
    return sum(build.crop_shard(shard)["ok"] for shard in shards)


# ---- faults


@dataclass(frozen=True)
class Fault:
    """What is planted.

    Attributes:
        start: the step to run again first; `edit` changes its inputs, `patch` its code while it runs.
        stages: that the message may name.
        only: the study that it can be planted in; both where empty.
    """

    name: str
    start: str
    stages: str
    edit: Callable[[Path], None] = lambda root: None
    patch: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    only: str = ""


def patched(place: Any, name: str, wrap: Callable[[Any], Any]) -> Callable[[], Any]:
    """A start of a patch: `place`, or the module of that name, with another `name`."""

    def start() -> Any:
        found = import_module(place) if isinstance(place, str) else place
        return mock.patch.object(found, name, wrap(getattr(found, name)))

    return start


def moved(cut: Any) -> Any:
    """Cuts three pixels further left."""
    by = np.float32([[1, 0, 3], [0, 1, 0]])
    return lambda picture, where: cut(
        cv2.warpAffine(picture, by, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), where
    )


def upright(window: Any) -> Any:
    """A window that is not turned."""

    def of(face: Any, shape: Any, crop: Any) -> Any:
        found = window(face, shape, crop)
        return dlib.chip_details(found.rect, dlib.chip_dims(found.rows, found.cols), 0.0)

    return of


def nearest(_: Any) -> Any:
    """OpenCV that takes the nearest pixel."""
    return types.SimpleNamespace(**{**vars(cv2), "INTER_LINEAR": cv2.INTER_NEAREST})


def compressed(decode: Any) -> Any:
    """Decodes, and compresses hard."""

    def of(data: bytes) -> Any:
        picture, reduction = decode(data)
        coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]), reduction

    return of


def turned(crop_picture: Any) -> Any:
    """Turns a tenth of the faces upside down."""

    def of(picture: np.ndarray, crop: Any) -> Any:
        face, box = crop_picture(picture, crop)
        return (face[::-1] if int(picture.sum()) % 10 == 0 else face), box

    return of


def normalised(load: Any) -> Any:
    """A model that divides by 255 once more."""

    def twice(card: Any, folder: Path) -> Any:
        import keras

        model = load(card, folder)
        image = keras.Input(model.inputs[0].shape[1:], name="image")
        return keras.Model(image, model(keras.layers.Rescaling(1 / 255)(image)))

    return twice


def classes(root: Path) -> None:
    """The classes of gender in another order."""
    card = read_card(root / MODELS, ModelCard)
    gender = card.outputs["gender"]
    outputs = card.outputs | {"gender": gender.model_copy(update={"labels": gender.labels[::-1]})}
    write_card(root / MODELS, card.model_copy(update={"outputs": outputs}))


def noise(root: Path) -> None:
    """Noise to calibrate on."""
    file = root / VIEWS / "calibration.npy"
    np.save(file, np.random.default_rng(1).integers(0, 256, np.load(file).shape, np.uint8))


def in_int8(change: Callable[[Any, Any], None]) -> Callable[[], Any]:
    """Changes the heaviest convolution of the int8 file that is made: `change(model, operator)`."""

    def wrap(bound: Any) -> Any:
        def of(file: TFLiteFile, card: Any) -> Any:
            if "INT8" not in file.activation_dtypes:
                return bound(file, card)
            model = file.copy()
            graph = model.subgraphs[0]
            size = lambda one: int(np.prod(graph.tensors[one.inputs[1]].shape))  # noqa: E731
            weighted = [one for one in graph.operators if len(one.inputs) == 3 and one.inputs[2] >= 0]
            change(model, max(weighted, key=size))
            return bound(TFLiteFile.write(model), card)

        return of

    return patched(converting.meaning, "bound", wrap)


def without_bias(model: Any, operator: Any) -> None:
    """Loses a bias."""
    buffer = model.buffers[model.subgraphs[0].tensors[operator.inputs[2]].buffer]
    buffer.data = np.zeros_like(buffer.data)


def scaled(model: Any, operator: Any) -> None:
    """Makes the scales of a layer larger by a tenth."""
    quantization = model.subgraphs[0].tensors[operator.inputs[1]].quantization
    quantization.scale = np.asarray(quantization.scale, np.float32) * np.float32(1.1)


def earlier(root: Path) -> None:
    """The weights published before; a study that publishes none gets noise as large as its weights are."""
    import h5py

    weights = root / MODELS / "model.weights.h5"
    if (root / "published").exists():
        weights.write_bytes(in_git(f"{RELEASE}:weights/{MODEL}/model.weights.h5"))
        return
    with h5py.File(weights, "r+") as file:
        random = np.random.default_rng(1)

        def change(_: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset) and found.ndim > 1:
                found[...] = found[...] + random.normal(0, found[...].std(), found.shape)

        file.visititems(change)


def truncated(root: Path) -> None:
    """Cuts a file off."""
    file = root / VARIANTS / "int8" / MODEL_FILE
    file.write_bytes(file.read_bytes()[:-2000])


def index_of(root: Path) -> tuple[Path, pd.DataFrame]:
    """The index of the main dataset, and its path."""
    path = next(p for p in (root / FACES_OF).glob(f"*/{INDEX}") if p.parent.name in ("starter", "utkface"))
    return path, pd.read_parquet(path)


def shifted_labels(root: Path) -> None:
    """Every picture has the label of the one before."""
    path, index = index_of(root)
    index[["age", "gender"]] = index[["age", "gender"]].shift(1).bfill()
    index.to_parquet(path, index=False)


def doubled(root: Path) -> None:
    """Every tenth face again, under another name."""
    path, index = index_of(root)
    tenth = index[(index["split"] == "val") & (index["status"] == "ok")].iloc[::10]
    pd.concat([index, tenth.assign(image="again/" + tenth["image"])]).to_parquet(path, index=False)


def rolled(decode: Any) -> Any:
    """Every face has the answers of the one before."""
    return lambda self, outputs: decode(
        self, {head: np.roll(one, 1, axis=0) for head, one in outputs.items()}
    )


def unit(call: Any) -> Any:
    """Pixels of 0..1."""
    return lambda self, images, progress=None: call(self, images / 255, progress)


def refused(init: Any) -> Any:
    """A runtime that knows no operator."""

    def of(self: Any, file: Any, threads: int = 1, kernels: Any = "xnnpack") -> None:
        if "int8" not in str(file):
            return init(self, file, threads, kernels)
        raise PocketfaceError(f"{file}: not a runnable TFLite model (Didn't find op for builtin opcode)")

    return of


FAULTS = (
    Fault(
        "red and blue swapped",
        "select",
        "select_faces",
        patch=patched(selection, "views", lambda old: lambda *a: old(*a)[..., ::-1]),
    ),
    Fault(
        "normalised twice", "export", "export", patch=patched("pocketface.levels.export", "load", normalised)
    ),
    Fault("class order", "export", "train fetch_weights", edit=classes),
    Fault("crop shifted by 3 px", "crop", "crop_faces", patch=patched(geometry, "cut", moved)),
    Fault("eyes not aligned", "crop", "crop_faces", patch=patched(geometry, "window", upright)),
    Fault(
        "another interpolation",
        "select",
        "select_faces",
        patch=patched(import_module("pocketface.faces.view"), "cv2", nearest),
    ),
    Fault(
        "JPEG at quality 50 before the crop",
        "crop",
        "crop_faces",
        patch=patched(build, "decode_reduced", compressed),
    ),
    Fault("a tenth upside down", "crop", "crop_faces", patch=patched(build, "crop_picture", turned)),
    Fault("calibration on noise", "convert", "convert", edit=noise),
    Fault("calibration on 5 faces", "convert", "convert", settings={"calibration": 5}),
    Fault("per tensor, not per channel", "convert", "convert", settings={"per_channel": False}),
    Fault("a bias lost", "convert", "convert", patch=in_int8(without_bias)),
    Fault("one layer's scale 10% off", "convert", "convert", patch=in_int8(scaled)),
    Fault("weights of the previous release", "export", "train fetch_weights", edit=earlier),
    Fault("a truncated file", "evaluate", "convert evaluate", edit=truncated),
    Fault("labels shifted by a row", "select", "crop_faces", edit=shifted_labels),
    Fault("duplicated test faces", "select", "crop_faces select_faces", edit=doubled),
    Fault(
        "a runtime that refuses the files",
        "evaluate",
        "evaluate convert",
        patch=patched(Runner, "__init__", refused),
    ),
    Fault("answers shifted by a row", "evaluate", "evaluate", patch=patched(Variant, "decode", rolled)),
    Fault("pixels of 0..1", "evaluate", "evaluate", patch=patched(Runner, "__call__", unit)),
)


# ---- other machines


@dataclass(frozen=True)
class Machine:
    """Settings under which nothing but the machine is another one."""

    name: str
    start: str
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    threads: int = 1
    kernels: str = "xnnpack"
    decode: Callable[[Any], Any] | None = None
    tensorflow: int = 2
    seed: int | None = None
    python: str = ""
    package: str = ""
    processor: str = ""
    runtime: str = ""

    def command(self) -> list[str]:
        """What starts Python there; raises a `PocketfaceError` where this machine cannot."""
        if self.python or self.package:
            own = ["uv", "run", "--isolated", "--frozen", "--no-dev", "--extra", "pipeline", "--quiet"]
            version = self.python or ".".join(map(str, sys.version_info[:2]))
            return [*own, "--python", version, *(["--with", self.package] if self.package else []), "python"]
        if self.processor:
            qemu = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
            if qemu is None:
                raise PocketfaceError("qemu-x86_64 is not installed (Debian: qemu-user)")
            return [qemu, "-cpu", self.processor, sys.executable]
        return [sys.executable]


def opencv(decode: Any) -> Any:
    """Decodes JPEGs with OpenCV."""

    def of(data: bytes) -> Any:
        if not data.startswith(b"\xff\xd8"):
            return decode(data)
        return np.ascontiguousarray(cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1]), 1

    return of


def noisy(decode: Any) -> Any:
    """Decodes, and adds -1, 0 or 1 to every value."""
    random = np.random.default_rng(1)

    def of(data: bytes) -> Any:
        picture, reduction = decode(data)
        return np.clip(picture + random.integers(-1, 2, picture.shape), 0, 255).astype(np.uint8), reduction

    return of


ANSWER = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
file, images, out = sys.argv[1:]
run = Interpreter(file, num_threads=1).get_signature_runner()
answers = [run(image=image[None]) for image in np.load(images)]
np.savez(out, **{name: np.concatenate([one[name] for one in answers]) for name in answers[0]})
"""


def answered_by(version: str) -> Callable[[Any], Any]:
    """Has another LiteRT run the files, in a Python without this package, which needs a newer one."""
    packages = ["--with", f"ai-edge-litert=={version}", "--with", "numpy<2"]
    python = ["uv", "run", "--isolated", "--no-project", "--quiet", "--python", "3.11", *packages, "python"]

    def wrap(_: Any) -> Any:
        def of(self: Runner, images: np.ndarray, progress: str | None = None) -> dict[str, np.ndarray]:
            with tempfile.TemporaryDirectory() as folder:
                pixels, answers = Path(folder) / "images.npy", Path(folder) / "answers.npz"
                np.save(pixels, quantized(images, self.ports["image"]))
                subprocess.run([*python, "-c", ANSWER, self.path.absolute(), pixels, answers], check=True)
                with np.load(answers) as told:
                    return {name: dequantized(told[name], self.ports[name]) for name in self.outputs}

        return of

    return wrap


SLOW_CV = "AVX2,AVX512_SKX,FP16,AVX,SSE4.2,SSE4.1,SSSE3,POPCNT"
MACHINES = (
    Machine("again", "crop"),
    Machine("1 thread of TensorFlow", "export", {"OMP_NUM_THREADS": "1"}, tensorflow=1),
    Machine("2 threads of LiteRT", "evaluate", threads=2),
    Machine("without XNNPACK", "evaluate", kernels="own"),
    Machine("LiteRT's reference kernels", "evaluate", kernels="reference"),
    Machine("oneDNN off", "export", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    Machine("oneDNN at AVX2", "export", {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    Machine("oneDNN at AVX512", "export", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}),
    Machine("OpenBLAS of Haswell", "convert", {"OPENBLAS_CORETYPE": "Haswell"}),
    Machine("OpenBLAS of 2006", "convert", {"OPENBLAS_CORETYPE": "Prescott"}),
    Machine(
        "NumPy without AVX2", "crop", {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"}
    ),
    Machine("OpenCV without AVX2", "crop", {"OPENCV_CPU_DISABLE": SLOW_CV}),
    Machine("OpenCV's JPEG decoder", "crop", decode=opencv),
    Machine("Pillow 10.4.0", "crop", package="pillow==10.4.0"),
    Machine("every decoded pixel off by -1, 0 or 1", "crop", decode=noisy),
    *(Machine(f"Python {version}", "export", python=version) for version in ("3.12", "3.13")),
    *(Machine(f"LiteRT {v}", "convert", package=f"ai-edge-litert=={v}") for v in ("2.2.0", "2.1.6")),
    Machine(f"LiteRT {OLDEST} runs the files", "evaluate", runtime=OLDEST),
    *(Machine(f"TensorFlow {v}", "export", package=f"tensorflow-cpu=={v}") for v in ("2.20.0", "2.19.1")),
    *(Machine(f"processor {name}", "convert", processor=name) for name in ("Haswell", "SandyBridge")),
    Machine("trained again, seed 2", "export", seed=2),
    Machine("trained again, oneDNN off", "export", {"TF_ENABLE_ONEDNN_OPTS": "0"}, seed=1),
)


def on_machine(machine: Machine) -> contextlib.ExitStack:
    """What of a machine is no environment variable."""
    stack = contextlib.ExitStack()

    def init(old: Any) -> Any:
        return lambda self, file, threads=1, kernels="xnnpack": old(
            self, file, machine.threads, machine.kernels
        )

    if machine.threads > 1 or machine.kernels != "xnnpack":
        stack.enter_context(patched(Runner, "__init__", init)())
    if machine.runtime:
        stack.enter_context(patched(Runner, "__call__", answered_by(machine.runtime))())
    if machine.decode:
        stack.enter_context(patched(build, "decode_reduced", machine.decode)())
    return stack


# ---- the gate before


class GateBefore:
    """The gate as it was in git: its three modules, in a package of their own in `folder`."""

    def __init__(self, folder: Path):
        package = folder / "gate_before"
        package.mkdir()
        (package / "__init__.py").write_text("")
        for path in ("reporting/quantities", "gate/baseline", "gate/compare"):
            text = in_git(f"{BEFORE}:src/pocketface/{path}.py").decode()
            for old in ("pocketface.gate", "pocketface.reporting"):
                text = text.replace(old, "gate_before")
            (package / f"{Path(path).name}.py").write_text(text)
        sys.path.insert(0, str(folder))
        self.quantities, self.baseline, self.compare = (
            import_module(f"gate_before.{name}") for name in ("quantities", "baseline", "compare")
        )

    def metrics(self, root: Path) -> dict[str, Any]:
        """The metrics of a study that it knew."""
        table, told = Table.load(root), {}
        for level in table.levels(MODEL):
            told[level] = table.reason(MODEL, level) or {
                (row.name if row.metric != "faces" else f"{row.dataset}.n"): row.value
                for row in table.of(MODEL, level)
                if not row.grouping
                and row.value is not None
                and (row.metric == "faces" or self.quantities.kind_of(row.metric))
            }
        return {MODEL: told}

    def baseline_of(self, rules: str, root: Path) -> Any:
        """What it would keep of a study, with the rules of a baseline in git."""
        told = {"rules": yaml.safe_load(in_git(rules))["rules"], "models": self.metrics(root)}
        return self.baseline.Baseline.model_validate(told)

    def wrong(self, was: Any, root: Path) -> list[str]:
        """What it finds wrong."""
        rows = self.compare.compare(was, self.metrics(root))
        return [str(row) for row in rows if row.verdict != "ok"]


def in_git(path: str) -> bytes:
    """The content of `COMMIT:PATH`."""
    return subprocess.run(["git", "show", path], capture_output=True, check=True).stdout


# ---- the run


def sample(dataset: str, archive: Path, out: Path, sizes: dict[str, int]) -> None:
    """A zip of some pictures, the first of each split by a hash of the name."""
    records = sorted(datasets.read(dataset, archive), key=lambda one: unit_hash(one.image, "gate"))
    left = dict(sizes)
    with zipfile.ZipFile(out, "w") as written:
        for record, data in datasets.read_pictures(dataset, archive, filter(lambda one: one.labels, records)):
            if data and left.get(record.split):
                written.writestr(record.image, data)
                left[record.split] -= 1
            if not any(left.values()):
                return


def subjects(starter: Path, utkface: Path, folder: Path) -> dict[str, Subject]:
    """The two studies, with a sample of pictures each."""
    told = yaml.safe_load((starter / "params.yaml").read_text())
    archives = {name: starter / f"data/raw/{name}/files.zip" for name in ("starter", "starter_test")}
    pictures = {}
    for name, archive in (archives | {"utkface": utkface}).items():
        pictures[name] = folder / f"{name}.zip"
        sizes = {"test": HOLDOUT} if name == "starter_test" else {"val": VAL, "train": TRAIN}
        if not pictures[name].exists():
            sample(name, archive, pictures[name], sizes)
    same = {
        "study": NAME,
        "levels": {level: {} for level in LEVELS},
        "holdout": "starter_test",
        "threads": 2,
        "seed": 1,
        "benchmark": told["benchmark"],
    }
    trained = Study.model_validate(
        same | {"datasets": told["datasets"], "models": {MODEL: told["models"][MODEL]}, "fetched": {}}
    )
    weights = Path(f"weights/{MODEL}")
    card = json.loads((weights / "card.json").read_text())
    stanza = {key: card[key] for key in ("architecture", "options", "input") if key in card}
    published = Study.model_validate(
        same
        | {
            "datasets": {"utkface": {"crop": card["crop"]}, "starter_test": told["datasets"]["starter_test"]},
            "models": {},
            "fetched": {
                MODEL: stanza | {"weights": str(weights), "dataset": "utkface", "heads": ["age", "gender"]}
            },
        }
    )
    return {
        "starter": Subject(
            trained,
            {name: pictures[name] for name in ("starter", "starter_test")},
            starter / MODELS,
            f"{BEFORE}:baselines/starter.yaml",
        ),
        "published": Subject(
            published,
            {name: pictures[name] for name in ("utkface", "starter_test")},
            weights,
            f"{BEFORE}:baselines/pocket.yaml",
        ),
    }


def prepare(name: str, subject: Subject, root: Path) -> None:
    """The healthy study and its baseline."""
    root.mkdir()
    if name == "published":
        from pocketface.fetching.sources import Sources
        from pocketface.importing.fetch import fetch
        from pocketface.training.runtime import limit_threads

        limit_threads(subject.study.threads)  # before TensorFlow makes a tensor
        (root / "published").touch()
        fetch(subject.study, MODEL, Sources.model_construct(), root / MODELS)
    else:
        shutil.copytree(subject.weights, root / MODELS)
    subject.run(root)
    update(subject.study, root)


def retrain(subject: Subject, starter: Path, seed: int, root: Path) -> None:
    """The model of the starter, trained again on all its faces with another seed."""
    from pocketface.training import fit
    from pocketface.training.runtime import limit_threads

    limit_threads(subject.study.threads)
    study = subject.study.model_copy(update={"seed": seed})
    made = fit.fit(study, MODEL, [FaceSet.load(starter / FACES_OF / "starter")], "none")
    shutil.rmtree(root / MODELS)
    fit.save(made, root / MODELS)


def planted(subject: Subject, fault: Fault, root: Path) -> None:
    """Plants a fault in a copy of a study."""
    levels = {name: level.model_copy(update=fault.settings) for name, level in subject.study.levels.items()}
    one = dataclasses.replace(subject, study=subject.study.model_copy(update={"levels": levels}))
    fault.edit(root)
    with fault.patch():
        one.run(root, fault.start)


def as_machine(args: argparse.Namespace, machine: Machine, name: str, root: Path) -> None:
    """Runs a machine's stages in a process of its own; raises a `PocketfaceError` with its last line."""
    own = ["--starter", args.starter, "--utkface", args.utkface, "--work", args.work]
    own += ["--machine", str(MACHINES.index(machine)), name, root]
    environment = os.environ | machine.environment
    done = subprocess.run(
        [*machine.command(), __file__, *map(str, own)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise PocketfaceError(told[-1])


def rows_of(
    args: argparse.Namespace, name: str, subject: Subject, kind: str, gate_before: GateBefore
) -> Iterator[dict[str, Any]]:
    """The rows of one study: every fault, or every machine. Only those that were asked for are run."""
    healthy = args.work / name
    if not healthy.exists():
        if args.study not in ("", name):
            return
        with written_whole(healthy) as partial:
            prepare(name, subject, partial)
    was = Baseline.of_outs(subject.study, healthy, Rules())
    was_before = gate_before.baseline_of(subject.rules_before, healthy)
    for one in FAULTS if kind == "fault" else MACHINES:
        root = args.work / f"{name}-{kind}" / slug(one.name)
        asked = args.study in ("", name) and args.kind in ("", kind) and args.only in ("", one.name)
        trains = isinstance(one, Machine) and one.seed is not None and name != "starter"
        if trains or not (asked or root.exists()):
            continue
        failed, found, told, back = "", [], (), []
        try:
            if not root.exists():
                with written_whole(root) as partial:
                    shutil.copytree(healthy, partial)
                    if isinstance(one, Fault):
                        planted(subject, one, partial)
                    else:
                        as_machine(args, one, name, partial)
            verdict = check(subject.study, root)
            found, told = verdict.wrong, verdict.findings
            if kind == "machine":
                there = Baseline.of_outs(subject.study, root, Rules())
                back = [f for f in compare(there, was, frozenset(subject.study.fetched)) if not f.ok]
        except PocketfaceError as error:
            failed = str(error)
        old = [] if failed else gate_before.wrong(was_before, root)
        stage = found[0].stage if found else ""
        row: dict[str, Any] = {
            "study": name,
            "kind": kind,
            "name": one.name,
            "failed": failed,
            "stage": stage,
        }
        row |= {"line": str(found[0]) if found else "", "rule": found[0].rule if found else ""}
        row |= {"before": old[:1], "right": isinstance(one, Fault) and stage in one.stages.split()}
        row |= {"back": [f"{f.rule}: {f}" for f in back]}
        yield row | {"all": [f"{f.ok} {f.rule}: {f}" for f in told if not f.ok or f.rule.startswith(BOUNDED)]}


def slug(name: str) -> str:
    """A name as one of a folder."""
    return "-".join("".join(c if c.isalnum() or c == "." else " " for c in name.lower()).split())


BOUNDED = ("drift", "moved", "agreement", "pixels")
"""Rules whose bounds are chosen by what other machines do."""


def cells_of(row: dict[str, Any] | None) -> list[str]:
    """What a row's study has in the table: what the gate says, and what the gate before said."""
    if row is None or row["failed"]:
        return [f"could not run: {row['failed']}" if row else "", ""]
    told = row["stage"] or "passes"
    if row["kind"] == "fault" and row["stage"] and not row["right"]:
        told = f"**{told}**"
    if row["back"]:
        told += f"; the other way {row['back'][0].partition(':')[0]}"
    return [told, "fails" if row["before"] else "passes"]


def table_of(rows: list[dict[str, Any]]) -> str:
    """The two tables, in Markdown."""
    names = list(dict.fromkeys(row["study"] for row in rows))
    found = {(row["study"], row["name"]): row for row in rows}
    lines = []
    for kind, title in (("fault", "planted"), ("machine", "another machine")):
        heads = [
            title,
            *(f"{name}{what}" for name in names for what in (": stage that is named", ": before")),
        ]
        lines += [f"| {' | '.join([*heads, 'rule', 'first line'])} |", f"|{' :-- |' * (len(heads) + 2)}"]
        for title in dict.fromkeys(row["name"] for row in rows if row["kind"] == kind):
            both = [found.get((name, title)) for name in names]
            first = next((row for row in both if row and row["line"]), {"rule": "", "line": ""})
            cells = [title, *(cell for row in both for cell in cells_of(row)), first["rule"], first["line"]]
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        lines.append("")
        own = [row for row in rows if row["kind"] == kind and not row["failed"]]
        for name in names:
            mine = [row for row in own if row["study"] == name]
            told = f"{name}: {sum(bool(row['stage']) for row in mine)} of {len(mine)} fail"
            if kind == "fault":
                told += f", {sum(row['right'] for row in mine)} with the right stage"
            else:
                told += f", the other way {sum(bool(row['back']) for row in mine)}"
            lines += [f"{told}; before {sum(bool(row['before']) for row in mine)}.", ""]
    return "\n".join(lines)


def spread_of(rows: list[dict[str, Any]]) -> str:
    """How far other machines move the answers of the same weights, in Markdown; bounds are set from this."""
    lines = ["| rule | bound | most on another machine | where |", "| :-- | :-- | :-- | :-- |"]
    rules = Rules()
    bounds = {"moved": f"{rules.moved:.1%}", "drift age": f"{rules.drift.years:g}"}
    bounds |= {"drift gender": f"{rules.drift.share:g}"}
    told = re.compile(r"\w+ ((?:moved|drift) \w+): (\S+): .*moved (?:\((\S+)\)|by (\S+))")
    same = {one.name for one in MACHINES if one.seed is None and one.decode is not noisy}
    most: dict[str, tuple[float, str, str]] = {}
    for row in rows:
        if row["kind"] == "machine" and row["name"] in same:
            for rule, where, share, amount in map(re.Match.groups, filter(None, map(told.match, row["all"]))):
                value, place = share or amount, f"{row['name']}, {row['study']}: {where}"
                most[rule] = max(most.get(rule, (-1.0, "", "")), (float(value.rstrip("%")), value, place))
    for rule, (_, value, place) in sorted(most.items()):
        bound = bounds.get(rule) or bounds[rule.partition(" ")[0]]
        lines.append(f"| {rule} | {bound} | {value} | {place} |")
    return "\n".join([*lines, ""])


@exit_cleanly
def main() -> None:
    """Prints the tables; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--starter", type=Path, required=True, metavar="REPOSITORY", help="after `pocketface run`"
    )
    parser.add_argument("--utkface", type=Path, required=True, metavar="ZIP", help="its pictures")
    parser.add_argument("--work", type=Path, help="a folder to keep: what was run in it is not run again")
    parser.add_argument("--study", default="", help="one of the two")
    parser.add_argument("--kind", default="", help="fault or machine")
    parser.add_argument("--only", default="", help="the run of this name")
    parser.add_argument("--write", action="store_true", help="the tables into docs/gate.md")
    parser.add_argument("--machine", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        args.work = args.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pictures = args.work / "pictures"
        if not pictures.exists():
            pictures.mkdir(parents=True)
        studies = subjects(args.starter, args.utkface, pictures)
        if args.machine:
            index, name, root = args.machine
            machine = MACHINES[int(index)]
            if machine.seed is not None:
                retrain(studies[name], args.starter, machine.seed, Path(root))
            study = studies[name].study.model_copy(update={"threads": machine.tensorflow})
            with on_machine(machine):
                dataclasses.replace(studies[name], study=study).run(Path(root), machine.start)
            return
        gate_before = GateBefore(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        rows = []
        for name, subject in studies.items():
            for kind in ("fault", "machine"):
                for row in rows_of(args, name, subject, kind, gate_before):
                    rows.append(row)
                    told = [name, row["name"], *cells_of(row), row["line"]]
                    print(" | ".join(told), flush=True)
        write_json(args.work / "rows.json", rows)
        told = f"{table_of(rows)}\n{spread_of(rows)}"
        print(told)
        if args.write:
            head, _, rest = PAGE.read_text().partition("<!-- benchmarks/gate.py -->\n")
            tail = rest.partition("<!-- end -->")[2]
            PAGE.write_text(f"{head}<!-- benchmarks/gate.py -->\n{told}\n<!-- end -->{tail}")


if __name__ == "__main__":
    main()
