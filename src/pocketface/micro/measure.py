"""Tries a model's variants in TensorFlow Lite Micro, and compiles the integer ones for an Ethos-U.

`micro/MODEL/LEVEL` is the variant once more, with what Vela compiled, and with both results in its card; who
reads a variant takes it from there, see `pocketface.cards.variant_folder`.
"""

import shutil
from pathlib import Path

from pocketface.cards import CARD, MODEL_FILE, VariantCard, read_card, write_card
from pocketface.core.files import written_whole
from pocketface.faces import calibrate
from pocketface.micro import vela
from pocketface.micro.interpreter import micro
from pocketface.tflite.file import TFLiteFile
from pocketface.tflite.runtimes import MICRO


def measure(variants: Path, views: Path, out: Path) -> list[VariantCard]:
    """Measures all variants of a model that could be made, a folder each; the first calibration face of
    `views` is shown to Micro.

    Raises:
        PocketfaceError: a variant or the faces cannot be read; the disk is full.
    """
    face, made = calibrate.load(views).first(1).pixels, []
    with written_whole(out, folder=True) as partial:
        for source in sorted(path.parent for path in variants.glob(f"*/{CARD}")):
            card = read_card(source, VariantCard)
            if card.status != "ok":
                continue
            (partial / source.name).mkdir()
            path = Path(shutil.copyfile(source / MODEL_FILE, partial / source.name / MODEL_FILE))
            results = {
                "runtimes": card.runtimes | {MICRO: micro(path, face)},
                "npu": vela.compile_for(path) if vela.suits(TFLiteFile.read(path)) else None,
            }
            made.append(card.model_copy(update=results))
            write_card(path.parent, made[-1])
    return made
