"""From the bytes of a picture file to pixels, or to the reason why not.

    pixels, reduction = decode_reduced(path.read_bytes())

Pillow decodes, because it notices a file that is cut short (OpenCV does not, nor Pillow with JPEG 2000, which
is not read). What is not one whole still picture of a usable size is `Rejected`, for one of `REASONS`.
"""

import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from pocketface.core.budget import PICTURE, Apart, Metered, TooMuch
from pocketface.core.files import NotRegular, TooLarge, read_bytes

try:
    import pillow_heif
except ImportError:  # the extra `heif`
    pillow_heif = None  # type: ignore[assignment]

# Of odd metadata; a picture's size is checked here.
warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")

RAW = "RAW"
SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF.{4}WEBP",
    "BMP": rb"BM.{13}\0\0\0",
    RAW: rb"II\*\0.{4}CR|IIRO|IIU\0|FUJIFILMCCD-RAW|.{4}ftypcrx ",
    "TIFF": rb"II\*\0|MM\0\*",
    "PPM": rb"P[456]\s",
    "AVIF": rb".{4}ftyp(?!he[iv])(.{4}){0,9}?avi[fs]",
    "HEIF": rb".{4}ftyp(he[iv][cmsx]|mif[12]|msf1)",
}
"""Pillow's name of each format -> how such a file begins, a regular expression; the first that fits. Raw
files that begin as TIFFs do are told from them by their tags."""
SIGNATURE_BYTES = 64
"""At the beginning of a file; so many are enough for `is_picture`."""

DNG_VERSION, SUBFILE = 50706, 254
"""TIFF tags of raw files: the one that makes it a DNG; of a page, bit 0, that it is a smaller copy of the
picture, as is the first page of NEF, ARW and their like."""
BITS = 258
"""TIFF tag: bits of a pixel; Pillow leaves 12 of them in the lower part of 16."""
TILE = 322, 323
"""TIFF tags: width and height of a tile."""

MIN_SIDE = 16
"""Pixels. The smallest faces of any dataset here are 20 pixels wide."""
MAX_PIXELS = PICTURE.pixels
MAX_JPEG_PIXELS = 2 * MAX_PIXELS
"""Phones have up to 200 megapixels, which a JPEG need not be decoded to."""
DECODED_SIDE = 2000
"""Pixels. A JPEG is decoded at a half, a quarter or an eighth of its size while its longer side has as many:
twice what is searched for faces, the smallest of which then have 80, as many as models look at."""
MAX_SCANNED = 25 * MAX_PIXELS
"""Pixels of a JPEG times its scans: each refines all of them, and may be a few bytes. Usual are up to 12."""
LONGEST_HEADER = 4096
"""Bytes of a PPM's, comments included, which Pillow reads one by one."""
DECODED_APART = ("AVIF", "HEIF")
"""Formats that are decoded in a process that can be ended: their libraries do all in one call, and sizes
stand in several places of a file."""

REASONS = {
    "empty": "the file has no bytes",
    "unsupported": "not a JPEG, PNG, GIF, WebP, AVIF, HEIC, BMP, TIFF or PPM file, or a kind without colours",
    "raw": "a camera's raw file; export it as JPEG",
    "needs_heif": "a HEIC or HEIF file; `pip install 'pocketface[heif]'` brings its decoder",
    "needs_codec": "this Pillow was built without its decoder; `pip install --upgrade pillow` brings it",
    "unreadable": "the file is damaged",
    "truncated": "the file ends before the picture does",
    "too_small": f"a side is shorter than {MIN_SIDE} pixels",
    "too_large": f"more than {MAX_PIXELS:,} pixels, or {MAX_JPEG_PIXELS:,} in a JPEG file, or "
    f"{PICTURE.bytes:,} bytes, or as much work to decode it or to find faces in it: make it smaller, for "
    "example with `magick PICTURE -resize 4000x4000 SMALLER.jpg`",
    "timeout": f"decoding it took more than {PICTURE.seconds:.0f} seconds: save it anew as a plain JPEG",
    "special": "not a regular file, but a folder, a device, a pipe or the like",
    "animated": "several frames or pages, and none of them is the picture",
}
"""Reason -> what it means, and the remedy where there is one."""

# What Pillow's decoders raise on damaged files, beside its own errors, which are OSErrors.
_DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError),
    *(RuntimeError, struct.error, zlib.error),
)


class Rejected(Exception):
    """A picture that cannot be used.

    Attributes:
        reason: one word, for the `status` column of the face index.
        detail: what was found, for a person; may be empty.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    @property
    def told(self) -> str:
        """The reason, the remedy and what was found, for a person, in one line."""
        found = " ".join(self.detail.split())
        return REASONS.get(self.reason, self.reason) + (f" ({found})" if found else "")

    def __reduce__(self) -> tuple[type["Rejected"], tuple[str, str]]:
        return type(self), (self.reason, self.detail)  # so that it survives the way back from a worker


def is_picture(beginning: bytes) -> bool:
    """Whether a file is a picture, by its signature: its first `SIGNATURE_BYTES` decide."""
    return _format(beginning[:SIGNATURE_BYTES]) is not None


def read(path: Path) -> tuple[np.ndarray, int]:
    """As `decode_reduced`, of a file.

    Raises:
        Rejected: for one of `REASONS`.
        OSError: it is not there, or may not be read.
    """
    try:
        data = read_bytes(path, PICTURE.bytes)
    except NotRegular:
        raise Rejected("special") from None
    except TooLarge:
        raise Rejected("too_large", f"more than {PICTURE.bytes:,} bytes") from None
    return decode_reduced(data)


def decode(data: bytes) -> np.ndarray:
    """The pixels of a picture file, as `decode_reduced` gives them, where their scale does not matter."""
    return decode_reduced(data)[0]


def decode_reduced(data: bytes) -> tuple[np.ndarray, int]:
    """The pixels of a picture file, upright as its metadata say, and their scale.

    Grey pictures become RGB, 16-bit ones 8-bit (the upper byte), CMYK and palettes RGB; transparent parts
    show white. Of the several pictures in a camera's MPO or HEIC file the main one is taken; animations and
    multi-page files are rejected, for nothing says which frame was labelled. Wrong bytes inside a JPEG that
    is otherwise whole cannot be told from a picture.

    Returns:
        uint8 `[H, W, 3]`, RGB, writable; and the pixels of the file that a side of one of them stands for: 2,
        4 or 8 in a JPEG that is reduced while it is decoded, see `DECODED_SIDE`, else 1. A place in the
        picture times this is the place in the file's own pixels.

    Raises:
        Rejected: for one of `REASONS`.
    """
    if not data:
        raise Rejected("empty")
    if len(data) > PICTURE.bytes:
        raise Rejected("too_large", f"{len(data):,} bytes")
    kind = _decodable(data)
    try:
        return _apart(_decoded, data, kind) if kind in DECODED_APART else _decoded(data, kind)
    except TimeoutError:
        raise Rejected("timeout") from None
    except ChildProcessError as error:
        raise Rejected("unreadable", str(error)) from None


_apart = Apart(PICTURE.seconds, PICTURE.memory)


def _decoded(data: bytes, kind: str) -> tuple[np.ndarray, int]:
    try:
        with _open(data, kind) as image:
            _check(image)
            _check_work(image, data)
            reduction = _reduce(image)
            image.load()
            _check_end(image, data)
            return _upright_rgb(image), reduction
    except TimeoutError:  # an OSError, too
        raise
    except TooMuch as error:
        raise Rejected("too_large", str(error)) from None
    except Image.DecompressionBombError:  # a frame that is larger than the header says
        raise Rejected("too_large") from None
    except _DAMAGED as error:
        cut = re.search("truncated|end of file", str(error), re.IGNORECASE) or isinstance(error, EOFError)
        raise Rejected("truncated" if cut else "unreadable", str(error)) from None


def _format(beginning: bytes) -> str | None:
    matches = (kind for kind, signature in SIGNATURES.items() if re.match(signature, beginning, re.DOTALL))
    return next(matches, None)


def _decodable(data: bytes) -> str:
    kind = _format(data[:SIGNATURE_BYTES])
    if kind is None:
        raise Rejected("unsupported", f"begins with {data[:8]!r}")
    if kind == RAW:
        raise Rejected("raw")
    if kind in ("AVIF", "WEBP") and not features.check(kind.lower()):
        raise Rejected("needs_codec", kind)
    if kind == "HEIF" and pillow_heif is None:
        raise Rejected("needs_heif")
    if kind == "PPM" and len(re.sub(rb"#[^\r\n]*", b"", data[:LONGEST_HEADER]).split(None, 3)) < 4:
        reason = "too_large" if len(data) > LONGEST_HEADER else "truncated"
        raise Rejected(reason, f"no pixels in its first {LONGEST_HEADER} bytes")
    return kind


def _open(data: bytes, kind: str) -> ImageFile:
    """The picture with its header read; by its plugin, for `Image.open` has limits of its own."""
    if kind == "HEIF":
        return pillow_heif.HeifImageFile(io.BytesIO(data))
    Image.init()
    return Image.OPEN[kind][0](Metered(data, PICTURE.seconds), "")


def _reduce(image: ImageFile) -> int:
    """Has a large JPEG decoded at a part of its size, see `DECODED_SIDE`; by what its sides are divided."""
    if image.format not in ("JPEG", "MPO"):
        return 1
    width, height = image.size
    for by in (8, 4, 2):
        if max(width, height) >= by * DECODED_SIDE and min(width, height) >= by * MIN_SIDE:
            image.draft(None, (width // by, height // by))
            return by
    return 1


def _check(image: ImageFile) -> None:
    """Rejects by what the header says, before any pixel is decoded."""
    width, height = image.size
    if width * height > (MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS):
        raise Rejected("too_large", f"{width}x{height}")
    if min(width, height) < MIN_SIDE:
        raise Rejected("too_small", f"{width}x{height}")
    if isinstance(image, TiffImageFile) and (DNG_VERSION in image.tag_v2 or image.tag_v2.get(SUBFILE, 0) & 1):
        raise Rejected("raw")
    if image.format not in ("MPO", "HEIF") and getattr(image, "is_animated", False):
        raise Rejected("animated")
    if image.mode in ("I", "F"):
        raise Rejected("unsupported", "pixels of 32 bits have no agreed range")


def _check_work(image: ImageFile, data: bytes) -> None:
    """Rejects what makes more work than its size says: a JPEG of many scans, a TIFF of huge tiles."""
    width, height = image.size
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if (tile := tags.get(TILE[0], 1) * tags.get(TILE[1], 1)) > MAX_PIXELS:
        raise Rejected("too_large", f"tiles of {tile:,} pixels")
    if image.format in ("JPEG", "MPO") or image.info.get("compression") in ("jpeg", "tiff_jpeg"):
        scans = data.count(b"\xff\xda")
        if width * height * scans > MAX_SCANNED:
            raise Rejected("too_large", f"{scans} scans of {width}x{height}; {MAX_SCANNED:,} in all may be")


def _check_end(image: ImageFile, data: bytes) -> None:
    """Rejects a JPEG whose end was never written: zeros are valid picture data, and decode to grey.

    The thumbnail in the EXIF data has an end marker too.
    """
    end = b"\xff\xd9"
    if image.format in ("JPEG", "MPO") and data.count(end) <= image.info.get("exif", b"").count(end):
        raise Rejected("truncated", "no end marker")


def _upright_rgb(image: Image.Image) -> np.ndarray:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        bits = image.tag_v2.get(BITS, (16,))[0] if isinstance(image, TiffImageFile) else 16
        grey = (np.asarray(image).astype(np.uint16) >> max(bits - 8, 0)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return np.array(
            Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        )
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
