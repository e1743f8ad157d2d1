"""What is fuzzed: how one input is read and what must hold of the answer, and honest inputs to begin with."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # noqa: F401  # its import is not to be instrumented
from PIL import Image

from pocketface.cards import CARD, VariantCard, read_card
from pocketface.core.errors import PocketfaceError, shown
from pocketface.cropping.picture import REASONS, Rejected, decode, pillow_heif
from pocketface.fetching.archives import Archive, pack
from pocketface.fetching.sources import Limits
from pocketface.tflite.meaning import check, read
from pocketface.tflite.run import Runner, tried

WEIGHTS = Path(__file__).parents[2] / "weights"
SMALL = Limits(member=10**6, total=10**7, members=1000)


def picture(data: bytes, folder: Path) -> None:
    try:
        pixels = decode(data)
    except Rejected as rejected:
        assert rejected.reason in REASONS, rejected
        assert rejected.reason != "timeout", rejected
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


def pictures() -> list[bytes]:
    if pillow_heif is not None:
        pillow_heif.register_heif_opener()
    image = Image.radial_gradient("L").resize((24, 20)).convert("RGB")
    kinds = [
        "JPEG",
        "PNG",
        "GIF",
        "WEBP",
        "BMP",
        "TIFF",
        "PPM",
        "AVIF",
        *["HEIF"] * (pillow_heif is not None),
    ]
    made = [(image, {"format": kind}) for kind in kinds]
    made += [(image, {"format": "JPEG", "progressive": True}), (image.convert("CMYK"), {"format": "JPEG"})]
    made += [(image, {"format": "TIFF", "compression": name}) for name in ("jpeg", "tiff_lzw", "packbits")]
    made += [(image.quantize(16), {"format": "BMP"}), (image.convert("RGBA"), {"format": "PNG"})]
    made += [(image, {"format": kind, "save_all": True, "append_images": [image]}) for kind in ("MPO", "PNG")]
    found = []
    for one, options in made:
        buffer = io.BytesIO()
        one.save(buffer, **options)
        found.append(buffer.getvalue())
    return found


def card(data: bytes, folder: Path) -> None:
    (folder / CARD).write_bytes(data)
    try:
        found = read_card(folder, VariantCard)
    except PocketfaceError as error:
        assert str(error).startswith(str(folder / CARD)), error
    else:
        assert found.npu is None or "/" not in (found.npu.file or "")
        said = found.model_dump(mode="json")
        assert json.dumps(said, allow_nan=False)
        for text in (said["reason"] or "", said["licence"], said["dataset"], said["model"], said["level"]):
            assert text == shown(text)


def cards() -> list[bytes]:
    return [path.read_bytes() for path in sorted(WEIGHTS.glob("*/int8/card.json"))]


def archive(data: bytes, folder: Path) -> None:
    name = ("a.zip", "a.tar.gz", "a.tar", "a.csv.gz", "a.tar.xz", "a.bz2")[data[0] % 6] if data else "a.zip"
    (folder / "in").write_bytes(data[1:])
    out = folder / "out.zip"
    try:
        count = pack([Archive(name, (folder / "in",))], out, SMALL)
    except PocketfaceError as error:
        assert str(folder / "in") in str(error), error
        assert not out.exists()
    else:
        with zipfile.ZipFile(out) as packed:
            assert count == len(set(packed.namelist())) <= 1000
            assert all(".." not in name.split("/") and name[0] != "/" for name in packed.namelist())
        out.unlink()
    assert [path.name for path in folder.iterdir()] == ["in"]


def archives() -> list[bytes]:
    members = {"a/b.txt": b"faces" * 9, "a/c.jpg": b"\xff\xd8\xff", "é.csv": b"1,2"}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    found = [b"\0" + zipped.getvalue()]
    for number, mode in ((1, "gz"), (2, ""), (4, "xz"), (5, "bz2")):
        tarred = io.BytesIO()
        with tarfile.open(fileobj=tarred, mode=f"w:{mode}") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name * (1 + 30 * (number == 2)))
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        found.append(bytes([number]) + tarred.getvalue())
    return found


def tflite(data: bytes, folder: Path) -> None:
    file = folder / "model.tflite"
    file.write_bytes(data)
    try:
        runner = Runner(tried(file))
        if (said := read(runner)) is not None:
            check(runner, said)
        answers = runner(np.zeros((1, *runner.input_shape), np.uint8))
    except PocketfaceError as error:
        assert str(error).startswith(str(file)), error
    else:
        assert {head: answer.shape[1:] for head, answer in answers.items()} == runner.outputs


def models() -> list[bytes]:
    return [(WEIGHTS / name / "int8" / "model.tflite").read_bytes() for name in ("facenet", "facenet_bis")]


TARGETS: dict[str, tuple[Callable[[bytes, Path], None], Callable[[], list[bytes]]]] = {
    "picture": (picture, pictures),
    "card": (card, cards),
    "archive": (archive, archives),
    "tflite": (tflite, models),
}
"""Name -> how one input is read, and the honest ones."""
