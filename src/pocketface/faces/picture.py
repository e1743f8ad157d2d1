"""From the bytes of a picture file to pixels, or to the reason why not.

    pixels = decode(path.read_bytes())         # uint8 [H, W, 3], RGB

Pillow decodes, because it says when a file is cut short: OpenCV fills the rest of a JPEG with grey and
returns it. What is not one whole still picture of a usable size is `Rejected`, for one of `REASONS`.
"""

import io
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "WEBP": (b"RIFF",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*"),
    "PPM": (b"P4", b"P5", b"P6"),
}
"""Pillow's name of each format that is read -> how such a file begins."""

MIN_SIDE = 16
"""Pixels. The smallest faces of any dataset here are 20 pixels wide."""
MAX_PIXELS = 100_000_000
"""A picture takes about ten bytes a pixel while it is decoded, however small its file is."""

REASONS = {
    "empty": "the file has no bytes",
    "unsupported": "not a JPEG, PNG, GIF, WebP, BMP, TIFF or PPM file, or a kind of it that has no colours",
    "unreadable": "the file is damaged",
    "truncated": "the file ends before the picture does",
    "too_small": f"a side is shorter than {MIN_SIDE} pixels",
    "too_large": f"more than {MAX_PIXELS} pixels",
    "animated": "several frames or pages, and none of them is the picture",
}

# What Pillow's decoders raise on damaged files, beside its own errors, which are OSErrors.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
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

    def __reduce__(self) -> tuple[type["Rejected"], tuple[str, str]]:
        return type(self), (self.reason, self.detail)  # so that it survives the way back from a worker


def decode(data: bytes) -> np.ndarray:
    """The pixels of a picture file, upright as its EXIF data say.

    Grey pictures become RGB, 16-bit ones 8-bit (the upper byte), CMYK and palettes RGB; transparent parts
    show white. Of the several pictures in a camera's MPO file the first, the full one, is taken;
    animations and multi-page files are rejected, for nothing says which frame was labelled. Wrong bytes
    inside a JPEG that is otherwise whole cannot be told from a picture.

    Args:
        data: the file's content.

    Returns:
        uint8 `[H, W, 3]`, RGB, writable.

    Raises:
        Rejected: for one of `REASONS`.
    """
    if not data:
        raise Rejected("empty")
    kind = _format(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; the size is checked below
            with Image.open(io.BytesIO(data), formats=[kind]) as image:
                _check(image)
                image.load()
                _check_end(image, data)
                return _upright_rgb(image)
    except Image.DecompressionBombError as error:
        raise Rejected("too_large", str(error)) from None
    except UnidentifiedImageError:
        raise Rejected("unreadable", f"not a whole {kind} header") from None
    except _DAMAGED as error:
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        raise Rejected("truncated" if cut else "unreadable", str(error)) from None


def _format(data: bytes) -> str:
    for kind, beginnings in SIGNATURES.items():
        if data.startswith(beginnings) and (kind != "WEBP" or data[8:12] == b"WEBP"):
            return kind
    raise Rejected("unsupported", f"begins with {data[:8]!r}")


def _check(image: Image.Image) -> None:
    """Rejects by what the header says, before any pixel is decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Rejected("too_large", f"{width}x{height}")
    if min(width, height) < MIN_SIDE:
        raise Rejected("too_small", f"{width}x{height}")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise Rejected("animated", f"{getattr(image, 'n_frames', 'several')} frames")
    if image.mode in ("I", "F"):
        raise Rejected("unsupported", "pixels of 32 bits have no agreed range")


def _check_end(image: Image.Image, data: bytes) -> None:
    """Rejects a JPEG whose end was never written: zeros are valid picture data, and decode to grey.

    The thumbnail in the EXIF data has an end marker too.
    """
    end = b"\xff\xd9"
    if image.format in ("JPEG", "MPO") and data.count(end) <= image.info.get("exif", b"").count(end):
        raise Rejected("truncated", "no end marker")


def _upright_rgb(image: Image.Image) -> np.ndarray:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return np.array(
            Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        )
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
