"""The bundle: what the page needs of a study, in one folder.

    write(Path("app_bundle"), study_name, [Path("variants/age_gender/int8"), ...], detector_file())

    index.json                      what there is: detector, alignment, variants
    models/MODEL-LEVEL-SHA.tflite   the pipeline's own files, byte for byte
    cards/MODEL-LEVEL-SHA.json      their cards
    models/detector-SHA.tflite      BlazeFace

Names hold a piece of the file's SHA-256, so that a page that keeps files for offline use never shows an old
one for a new one. How a model's faces are cut is worked out here, by the same code as everywhere, and told
in numbers.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pocketface.app import INDEX
from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card
from pocketface.core.files import sha256, write_json, written_whole
from pocketface.evaluation.finding import aligned
from pocketface.faces.view import window
from pocketface.fetching.obtain import obtain
from pocketface.fetching.sources import load_sources
from pocketface.tflite.meaning import opened

DETECTOR = "blazeface_short_range"
ALIGNMENT = Path(__file__).with_name("alignment.json")
"""From BlazeFace's points to dlib's mean face; fitted by `benchmarks/align.py`."""
PAGE_TYPES = ("FLOAT32", "UINT8")
"""Types of inputs and outputs that LiteRT.js 2.5 can hand over."""


def detector_file() -> Path:
    """Where the detector lies, fetched if need be; run from the root of the repository."""
    (archive,) = obtain(load_sources().weight(DETECTOR))
    return archive.parts[0]


def write(folder: Path, study: str, variants: Iterable[Path], detector: Path) -> list[str]:
    """Writes the bundle, whole or not at all.

    Args:
        folder: where.
        study: its name, shown by the page.
        variants: folders with `model.tflite` and `card.json`.
        detector: BlazeFace's file.

    Returns:
        Of each variant that the page cannot run, `MODEL/LEVEL: reason`.

    Raises:
        PocketfaceError: a card or a file is missing, or a file is not the one of its card.
    """
    rows = []
    with written_whole(folder) as partial:
        for kind in ("models", "cards"):
            (partial / kind).mkdir(parents=True)
        for variant in variants:
            card = read_card(variant, VariantCard)
            row: dict[str, Any] = _told(card)
            reason = _hindrance(card)
            rows.append(row | ({"reason": reason} if reason else _files(partial, variant, card)))
        index = {
            "study": study,
            "detector": {"file": _copied(partial, detector, "detector")},
            "alignment": json.loads(ALIGNMENT.read_text(encoding="utf-8")),
            "variants": rows,
        }
        write_json(partial / INDEX, index)
    return [f"{row['model']}/{row['level']}: {row['reason']}" for row in rows if "reason" in row]


def _hindrance(card: VariantCard) -> str | None:
    """Why the page cannot run a variant."""
    if card.status != "ok":
        return card.reason
    if types := sorted({port.dtype for port in card.ports.values()} - set(PAGE_TYPES)):
        return f"{', '.join(types)} in or out, which LiteRT.js does not hand over"
    crop = aligned(card.crop, card.input)
    if crop.geometry != "chip":
        return f"trained on crops of geometry {crop.geometry}; the page cuts aligned chips"
    return None


def _told(card: VariantCard) -> dict[str, Any]:
    wanted = {"model", "level", "dataset", "licence", "outputs", "parameters", "macs", "size_bytes", "ports"}
    return card.model_dump(mode="json", include=wanted)


def _files(folder: Path, variant: Path, card: VariantCard) -> dict[str, Any]:
    """Copies a variant's files; where they are, and how a face is cut for it."""
    file = variant / MODEL_FILE
    opened(file, card)
    name = f"{card.model}-{card.level}"
    told = f"cards/{name}-{sha256(file)[:8]}.json"
    shutil.copyfile(variant / CARD, folder / told)
    crop = aligned(card.crop, card.input)
    return {
        "file": _copied(folder, file, name),
        "card": told,
        "cut": {"size": crop.size, "margin": crop.margin, "grey": crop.channels == 1},
        "view": {
            "window": window(crop, card.input),
            "size": card.input.size,
            "channels": card.input.channels,
        },
    }


def _copied(folder: Path, file: Path, name: str) -> str:
    target = f"models/{name}-{sha256(file)[:8]}.tflite"
    shutil.copyfile(file, folder / target)
    return target
