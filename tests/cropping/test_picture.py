import dataclasses
import io
import os
import pickle
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin
from pillow_heif import from_pillow

from pocketface.core.budget import PICTURE, Apart
from pocketface.cropping import picture
from pocketface.cropping.picture import (
    REASONS,
    SIGNATURE_BYTES,
    Rejected,
    decode,
    decode_reduced,
    is_picture,
    read,
)

WIDTH, HEIGHT = 32, 40


def drawn() -> np.ndarray:
    """A smooth picture of `[HEIGHT, WIDTH, 3]` whose four corners are red, green, blue and white."""
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return cv2.resize(corners, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


RGB = drawn()
GREY = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
IMAGE = Image.fromarray(RGB)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(*images: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    file = from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    file.save(buffer, **options)
    return buffer.getvalue()


def frames(kind: str) -> bytes:
    return saved(IMAGE, kind, save_all=True, append_images=[IMAGE.rotate(180)])


def png16(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes whose header promises `width` times `height` pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def turned(orientation: int, kind: str = "PNG", image: Image.Image = IMAGE) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "HEIF":
        return heic(image, exif=exif.tobytes())
    return saved(image, kind, exif=exif)


def tiff(**tags: int) -> bytes:
    """A TIFF with tags of type `long`, named `_NUMBER`."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[int(tag[1:])] = value
        info.tagtype[int(tag[1:])] = 4
    return saved(IMAGE, "TIFF", tiffinfo=info)


JPEG, PNG, GIF = saved(IMAGE, "JPEG"), saved(IMAGE, "PNG"), saved(IMAGE, "GIF")
PROGRESSIVE = saved(IMAGE, "JPEG", progressive=True)
WEBP, BMP = saved(IMAGE, "WEBP"), saved(IMAGE, "BMP")
TIFF, PPM = saved(IMAGE, "TIFF"), saved(IMAGE, "PPM")
AVIF, HEIC = saved(IMAGE, "AVIF"), heic(IMAGE, quality=90)
THUMBNAILED = saved(IMAGE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + JPEG)
SCAN, SCANS = JPEG.index(b"\xff\xda"), PROGRESSIVE.rindex(b"\xff\xda")
TINY = IMAGE.resize((8, 8))
PGM16 = b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + bytes(2 * WIDTH * HEIGHT)


def _resized(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header promises another size."""
    at = re.search(b"\xff[\xc0\xc2]", jpeg).start() + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def directories(count: int) -> bytes:
    """A TIFF of so many pages that are the same picture."""
    start = struct.unpack("<I", TIFF[4:8])[0]
    directory = TIFF[start : start + 2 + 12 * struct.unpack("<H", TIFF[start : start + 2])[0]]
    next_ones = [len(TIFF) + (page + 1) * (len(directory) + 4) for page in range(count - 1)] + [0]
    pages = b"".join(directory + struct.pack("<I", next_one) for next_one in next_ones)
    return TIFF[:4] + struct.pack("<I", len(TIFF)) + TIFF[8:] + pages


def written_tiff(tags: dict[int, int], long: int = 0) -> bytes:
    """A TIFF of 64x64 with these tags, and 1,000 more that are the same `long` bytes."""
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 277: 1, **tags}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())]
    entries += [struct.pack("<HHII", 40_000 + tag, 1, long, 8) for tag in range(1000 if long else 0)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4 + long)


LOSSLESS = {
    "png": PNG,
    "webp": saved(IMAGE, "WEBP", lossless=True),
    "bmp": BMP,
    "tiff": TIFF,
    "ppm": PPM,
    "lzw": saved(IMAGE, "TIFF", compression="tiff_lzw"),
}
LOSSY = {
    "jpeg": JPEG,
    "jpeg, progressive": PROGRESSIVE,
    "jpeg, cmyk": saved(IMAGE.convert("CMYK"), "JPEG"),  # and not its negative
    "jpeg, damaged exif": saved(IMAGE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff garbage"),
    "jpeg, a thumbnail before it and something behind": THUMBNAILED + b"a film clip",
    "webp": WEBP,
    "mpo": frames("MPO"),
    "avif": AVIF,
    "avif in a general container": AVIF.replace(b"ftypavif", b"ftypmif1", 1),
    "heic": HEIC,
    "heic in a general container": HEIC.replace(b"ftypheic", b"ftypmif1", 1),
    "heic of two": heic(IMAGE.rotate(180), IMAGE, primary_index=1),
    "gif": GIF,
    "palette": saved(IMAGE.quantize(64), "PNG"),
    "16-bit": png16(RGB[..., ::-1]),
}


class TestDecode:
    @pytest.mark.parametrize("kind", LOSSLESS)
    def test_lossless_formats_give_back_every_pixel(self, kind: str) -> None:
        assert np.array_equal(decode(LOSSLESS[kind]), RGB)

    @pytest.mark.parametrize("kind", LOSSY)
    def test_lossy_formats_come_close(self, kind: str) -> None:
        pixels = decode(LOSSY[kind])
        assert pixels.shape == RGB.shape
        assert pixels.dtype == np.uint8
        assert pixels.flags.writeable
        assert np.abs(pixels.astype(int) - RGB).mean() < 8

    @pytest.mark.parametrize(
        "data",
        [
            saved(Image.fromarray(GREY), "PNG"),
            png16(GREY),
            cv2.imencode(".tiff", GREY.astype(np.uint16) * 257)[1].tobytes(),
        ],
        ids=["8-bit", "16-bit png", "16-bit tiff"],
    )
    def test_grey_becomes_three_equal_channels(self, data: bytes) -> None:
        assert np.abs(decode(data).astype(int) - GREY[..., None]).max() <= 1

    def test_black_and_white(self) -> None:
        assert set(np.unique(decode(saved(Image.fromarray(GREY).convert("1"), "PNG")))) == {0, 255}

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_transparent_parts_show_white(self, mode: str) -> None:
        image = IMAGE.convert(mode)
        image.putalpha(
            Image.fromarray(np.repeat([[0], [255]], [10, 30], axis=0).astype(np.uint8).repeat(32, 1))
        )
        pixels = decode(saved(image, "PNG"))
        assert (pixels[:10] == 255).all()
        assert np.array_equal(pixels[10:], np.array(IMAGE.convert(mode).convert("RGB"))[10:])

    def test_transparent_palette_entry_shows_white(self) -> None:
        image = IMAGE.quantize(8)
        image.info["transparency"] = image.getpixel((0, 0))
        assert (decode(saved(image, "GIF"))[0, 0] == 255).all()

    def test_exif_orientations_are_honoured(self) -> None:
        upright = {
            1: RGB,
            2: RGB[:, ::-1],
            3: RGB[::-1, ::-1],
            4: RGB[::-1],
            5: RGB.transpose(1, 0, 2),
            6: np.rot90(RGB, -1),
            7: RGB.transpose(1, 0, 2)[::-1, ::-1],
            8: np.rot90(RGB),
            99: RGB,
        }
        for orientation, expected in upright.items():
            assert np.array_equal(decode(turned(orientation)), expected), orientation

    @pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
    def test_formats_that_turn_the_picture_themselves_do_it_once(self, kind: str) -> None:
        pixels = decode(turned(6, kind))
        assert pixels.shape == (WIDTH, HEIGHT, 3)
        assert np.abs(pixels.astype(int) - np.rot90(RGB, -1)).mean() < 8


BAD = {
    "nothing": (b"", "empty"),
    "zeros": (bytes(1000), "unsupported"),
    "text": (b"not found", "unsupported"),
    "web page": (b"<!DOCTYPE html><html></html>", "unsupported"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported"),
    "pdf": (b"%PDF-1.7\n%%EOF", "unsupported"),
    "film": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "unsupported"),
    "jpeg 2000": (saved(IMAGE, "JPEG2000"), "unsupported"),
    "dng": (tiff(_50706=0x01040000), "raw"),
    "nef": (tiff(_254=1), "raw"),
    "cr2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(100), "raw"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "raw"),
    "raf": (b"FUJIFILMCCD-RAW 0201", "raw"),
    "heic, header": (HEIC[:40], "unreadable"),
    "heic, half": (HEIC[:-50], "truncated"),
    "avif, header": (AVIF[:40], "truncated"),
    "avif, half": (AVIF[:-20], "truncated"),
    "avif, animated": (frames("AVIF"), "animated"),
    "zip": (b"PK\x03\x04" + bytes(100), "unsupported"),
    "wave sound": (b"RIFF\x24\0\0\0WAVEfmt ", "unsupported"),
    "numpy array": (b"\x93NUMPY\x01\0", "unsupported"),
    "float tiff": (saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "unsupported"),
    "pgm, 16 bits": (PGM16, "unsupported"),
    "jpeg, three bytes": (JPEG[:3], "unreadable"),
    "jpeg, header only": (JPEG[:SCAN], "unreadable"),
    "jpeg, in its tables": (JPEG[:100], "truncated"),
    "jpeg, half": (JPEG[: (SCAN + len(JPEG)) // 2], "truncated"),
    "jpeg, no end marker": (JPEG[:-2], "truncated"),
    "jpeg, zeros after half": (JPEG[: SCAN + 20] + bytes(len(JPEG)), "truncated"),
    "jpeg, progressive, half": (PROGRESSIVE[: len(PROGRESSIVE) // 2], "truncated"),
    "jpeg, progressive, last scan": (PROGRESSIVE[:-10], "truncated"),
    "jpeg, then a web page": (JPEG[:4] + b"<html>" * 50, "truncated"),
    "jpeg, saved as text": (JPEG.replace(b"\n", b"\r\n").decode("latin-1").encode("utf-8"), "unsupported"),
    "jpeg, thumbnail whole, picture not": (THUMBNAILED[:-20] + bytes(600), "truncated"),
    "png, signature": (PNG[:8], "unreadable"),
    "png, header": (PNG[:33], "unreadable"),
    "png, half": (PNG[: len(PNG) // 2], "truncated"),
    "png, wrong checksum": (PNG[:20] + bytes([PNG[20] ^ 1]) + PNG[21:], "unreadable"),
    "png, damaged pixels": (PNG.replace(PNG[60:80], bytes(20)), "unreadable"),
    "png, saved as text": (PNG.replace(b"\r\n", b"\n"), "unsupported"),
    "png, no pixels": (png_bomb(WIDTH, HEIGHT)[:33] + PNG[-12:], "unreadable"),
    "png, too few pixels": (png_bomb(WIDTH, HEIGHT), "truncated"),
    "png, bomb": (png_bomb(20_000, 20_000), "too_large"),
    "png, just too large": (png_bomb(10_001, 10_000), "too_large"),
    "png, thin": (saved(IMAGE.resize((1, 400)), "PNG"), "too_small"),
    "gif, header": (GIF[:10], "unreadable"),
    "gif, half": (GIF[: len(GIF) // 2], "unreadable"),
    "gif, animated": (frames("GIF"), "animated"),
    "png, animated": (frames("PNG"), "animated"),
    "webp, animated": (frames("WEBP"), "animated"),
    "webp, half": (WEBP[: len(WEBP) // 2], "unreadable"),
    "webp, damaged": (WEBP[:16] + bytes(len(WEBP) - 16), "unreadable"),
    "tiff, pages": (frames("TIFF"), "animated"),
    "tiff, header": (TIFF[:8], "unreadable"),
    "tiff, half": (TIFF[: len(TIFF) // 2], "truncated"),
    "bmp, half": (BMP[: len(BMP) // 2], "truncated"),
    "bmp, begun": (BMP[:14], "unsupported"),
    "bmp, header": (BMP[:30], "truncated"),
    "bmp, absurd size": (BMP[:18] + b"\xff\xff\xff\x7f" * 2 + BMP[26:], "too_large"),
    "ppm, half": (PPM[: len(PPM) // 2], "truncated"),
    "ppm, letters": (b"P6 wide high 255\n" + bytes(100), "unreadable"),
    "jpeg, 8 pixels": (saved(TINY, "JPEG"), "too_small"),
    "jpeg, many scans": (
        _resized(PROGRESSIVE, 9000, 9000)[:-2] + PROGRESSIVE[SCANS:-2] * 30 + PROGRESSIVE[-2:],
        "too_large",
    ),
    "tiff, 100,000 pages": (directories(100_000), "animated"),
    "tiff, parts on each other": (written_tiff({}, long=2**20), "unreadable"),
    "tiff, tiles beyond it": (written_tiff({322: 2**14, 323: 2**14, 324: 8, 325: 64}), "too_large"),
    "ppm, a long comment": (b"P6 #" + b"a" * 10_000_000 + PPM[2:], "too_large"),
    "gif, 1 pixel": (saved(IMAGE.resize((1, 1)), "GIF"), "too_small"),
}


class TestRejected:
    @pytest.mark.parametrize("kind", BAD)
    def test_bad_pictures_have_a_reason(self, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
        data, reason = BAD[kind]
        with pytest.raises(Rejected) as rejected:
            decode(data)
        assert rejected.value.reason == reason
        assert " 0x" not in rejected.value.told  # no addresses: the message repeats
        assert rejected.value.told.startswith(REASONS[reason])
        assert "\n" not in rejected.value.told
        assert capfd.readouterr() == ("", "")

    def test_they_warn_of_nothing(self, tmp_path: Path) -> None:
        for name, (data, _) in enumerate(BAD.values()):
            (tmp_path / str(name)).write_bytes(data)
        program = (
            "import sys; from pathlib import Path; from pocketface.cropping.picture import Rejected, decode\n"
            "for path in Path(sys.argv[1]).iterdir():\n"
            "    try: decode(path.read_bytes())\n"
            "    except Rejected: print(path.name)"
        )
        told = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
        assert (len(told.stdout.splitlines()), told.stderr) == (len(BAD), "")

    def test_every_reason_is_explained_and_occurs(self) -> None:
        below = {"needs_heif", "needs_codec", "special", "timeout"}
        assert {reason for _, reason in BAD.values()} | below == set(REASONS)

    @pytest.mark.parametrize("data", [PNG, TIFF, PPM, PROGRESSIVE, GIF, BMP], ids=range(6))
    def test_time_is_bounded(self, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picture, "PICTURE", dataclasses.replace(PICTURE, seconds=-1))
        with pytest.raises(Rejected) as rejected:
            decode(data)
        assert rejected.value.told.startswith("decoding it took more than 60 seconds")

    @pytest.mark.parametrize("data", [AVIF, HEIC], ids=["avif", "heic"])
    def test_where_a_library_does_not_stop_its_process_is_ended(
        self, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(picture, "_apart", Apart(1.5, PICTURE.memory))
        assert decode(data).shape == RGB.shape
        monkeypatch.setattr(picture, "_decoded", time.sleep)
        monkeypatch.setattr(picture, "_apart", lambda decoded, data, kind: Apart(0.5, 2**32)(decoded, 60))
        with pytest.raises(Rejected, match="timeout"):
            decode(data)
        monkeypatch.setattr(picture, "_apart", lambda decoded, data, kind: Apart(60, 2**32)(os._exit, 9))
        with pytest.raises(Rejected, match=r"unreadable: .*status 9"):
            decode(data)

    def test_special_and_huge_files_are_not_read(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for special in (Path("/dev/zero"), tmp_path / "pipe", tmp_path):
            with pytest.raises(Rejected, match="special"):
                read(special)
        with (tmp_path / "holes.jpg").open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(Rejected, match="too_large: more than 400,000,000 bytes"):
            read(tmp_path / "holes.jpg")

    def test_a_decoder_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picture, "pillow_heif", None)
        monkeypatch.setattr(picture.features, "check", lambda codec: False)
        for data, told in ((HEIC, "pocketface[heif]"), (AVIF, "upgrade pillow"), (WEBP, "upgrade pillow")):
            with pytest.raises(Rejected) as rejected:
                decode(data)
            assert told in rejected.value.told
        assert decode(PNG).shape == RGB.shape

    def test_a_jpeg_cut_anywhere_is_rejected(self) -> None:
        for end in range(0, len(JPEG), 7):
            with pytest.raises(Rejected):
                decode(JPEG[:end])

    def test_a_bomb_is_rejected_before_its_pixels_are_decoded(self) -> None:
        decoding = mock.patch.object(Image.Image, "load", side_effect=AssertionError("decoded"))
        for data in (png_bomb(10_001, 10_000), _resized(JPEG, 20_001, 10_000)):
            with decoding, pytest.raises(Rejected, match=r"too_large: [12]0001x10000") as rejected:
                decode(data)
            assert "100,000,000 pixels, or 200,000,000 in a JPEG file" in rejected.value.told
            assert "-resize" in rejected.value.told

    def test_survives_the_way_between_processes(self) -> None:
        returned = pickle.loads(pickle.dumps(Rejected("animated", "2 frames")))
        assert (returned.reason, returned.detail) == ("animated", "2 frames")
        assert str(returned) == "animated: 2 frames"


class TestDecodeReduced:
    """A large JPEG is read at a part of its size, and says so."""

    LARGE = IMAGE.resize((203, 121), Image.Resampling.BICUBIC)

    @pytest.fixture(autouse=True)
    def _low_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picture, "MAX_PIXELS", 20_000)
        monkeypatch.setattr(picture, "MAX_JPEG_PIXELS", 40_000)
        monkeypatch.setattr(picture, "DECODED_SIDE", 101)

    @pytest.mark.parametrize(
        "data",
        [
            saved(LARGE, "JPEG"),
            saved(LARGE, "JPEG", progressive=True),
            saved(LARGE.convert("CMYK"), "JPEG"),
            saved(LARGE, "MPO", save_all=True, append_images=[IMAGE]),
            turned(6, "JPEG", LARGE.transpose(Image.Transpose.ROTATE_90)),
        ],
        ids=["baseline", "progressive", "cmyk", "mpo", "turned"],
    )
    def test_halved(self, data: bytes) -> None:
        pixels, reduction = decode_reduced(data)
        assert reduction == 2
        assert pixels.shape == (61, 102, 3)
        shrunk = self.LARGE.resize((102, 61), Image.Resampling.BOX)
        assert np.abs(pixels.astype(int) - np.array(shrunk)).mean() < 4

    def test_as_it_is_up_to_the_limit(self) -> None:
        pixels, reduction = decode_reduced(saved(self.LARGE.crop((0, 0, 201, 100)), "JPEG"))
        assert (pixels.shape, reduction) == ((100, 201, 3), 1)

    @pytest.mark.parametrize(("side", "by"), [(26, 4), (25, 8), (13, 8)])
    def test_by_a_quarter_and_an_eighth(self, side: int, by: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picture, "DECODED_SIDE", side)
        monkeypatch.setattr(picture, "MIN_SIDE", 15)
        pixels, reduction = decode_reduced(saved(self.LARGE, "JPEG"))
        assert (pixels.shape, reduction) == ((-(-121 // by), -(-203 // by), 3), by)

    def test_the_shorter_side_keeps_what_a_picture_needs(self) -> None:
        pixels, reduction = decode_reduced(saved(self.LARGE.crop((0, 0, 203, 31)), "JPEG"))
        assert (pixels.shape, reduction) == ((31, 203, 3), 1)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
    def test_other_formats_are_too_large(self, kind: str) -> None:
        with pytest.raises(Rejected, match="too_large: 203x121"):
            decode(saved(self.LARGE, kind))

    def test_so_is_a_jpeg_above_its_own_limit(self) -> None:
        with pytest.raises(Rejected, match="too_large: 400x200"):
            decode(saved(IMAGE.resize((400, 200)), "JPEG"))


def test_108_megapixels_take_less_than_half_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    Image.new("L", (12_000, 9_000), 128).save(path, quality=50)
    program = (
        "import sys; from pathlib import Path; from pocketface.cropping.picture import decode_reduced\n"
        "pixels, reduction = decode_reduced(Path(sys.argv[1]).read_bytes())\n"
        "assert pixels.shape == (2250, 3000, 3) and reduction == 4 and (pixels == 128).all()\n"
        "print(Path('/proc/self/status').read_text())"
    )
    told = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    peak = next(line.split()[1] for line in told.stdout.splitlines() if line.startswith("VmHWM"))
    assert int(peak) < 500_000, "kB; the whole picture takes a gigabyte"


class TestIsPicture:
    @pytest.mark.parametrize(
        "data", [JPEG, PNG, GIF, WEBP, BMP, TIFF, PPM, AVIF, HEIC, BAD["cr3"][0], frames("AVIF")]
    )
    def test_every_signature_is_known_by_its_beginning(self, data: bytes) -> None:
        assert is_picture(data[:SIGNATURE_BYTES])
        assert not is_picture(b"\n" + data[:SIGNATURE_BYTES])

    @pytest.mark.parametrize(
        "text", [b"", b"path,age\n", b"BMW and other cars that are blue", b"P5js is a library", b"RIFF raff"]
    )
    def test_text_is_none(self, text: bytes) -> None:
        assert not is_picture(text)


GOOD = [JPEG, PROGRESSIVE, PNG, GIF, WEBP, BMP, TIFF, PPM, turned(6), frames("MPO"), frames("GIF")]
GOOD += [AVIF, HEIC, frames("AVIF")]


class TestAnyBytes:
    """`decode` answers with a picture or a reason, whatever it is given."""

    @staticmethod
    def _decode(data: bytes) -> None:
        with mock.patch.object(picture, "MAX_PIXELS", 10**6):
            try:
                pixels = decode(data)
            except Rejected as rejected:
                assert rejected.reason in REASONS
            else:
                assert pixels.dtype == np.uint8
                assert pixels.ndim == 3
                assert pixels.shape[2] == 3

    @settings(max_examples=100, deadline=None)
    @given(start=st.sampled_from([good[:12] for good in GOOD] + [b""]), rest=st.binary(max_size=300))
    def test_random_bytes(self, start: bytes, rest: bytes) -> None:
        self._decode(start + rest)

    @settings(max_examples=200, deadline=None)
    @given(good=st.sampled_from(GOOD), data=st.data())
    def test_damaged_pictures(self, good: bytes, data: st.DataObject) -> None:
        damaged = bytearray(good)
        places = st.one_of(st.integers(0, 60), st.integers(0, len(good) - 1))
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
            damaged[place] = value
        end = data.draw(st.integers(1, len(good)))
        self._decode(bytes(damaged[:end]))


def test_a_tiff_of_12_bits_is_not_dark() -> None:
    grey = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (64, 1))
    left, right = grey[:, ::2], grey[:, 1::2]
    parts = [left >> 4, (left & 15) << 4 | right >> 8, right & 255]
    packed = np.stack(parts, axis=-1).astype(np.uint8).tobytes()
    tags = {256: 64, 257: 64, 258: 12, 259: 1, 262: 1, 273: 122, 277: 1, 278: 64, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + packed
    np.testing.assert_array_equal(decode(data)[:, :, 0], grey >> 4)
