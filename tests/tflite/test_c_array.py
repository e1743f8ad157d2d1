import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from colour_net import SIDE, colour_model, painted, write_variants
from pocketface.cards import CARD, VariantCard, read_card, write_card
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.tflite.c_array import c_header
from pocketface.tflite.runtimes import MICRO

PRINT = """
#include <stdio.h>
#include "model.h"
int main(void) {
    fprintf(stderr, "%d %d %.3f %d", SMALL_INT8_IO_SIZE, SMALL_INT8_IO_ARENA_BYTES,
            (double)SMALL_INT8_IO_IMAGE_SCALE, SMALL_INT8_IO_IMAGE_ZERO_POINT);
    return fwrite(small_int8_io, 1, sizeof small_int8_io, stdout) != sizeof small_int8_io;
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A real model at a level that gives and takes integers."""
    root = tmp_path_factory.mktemp("made")
    write_variants(root, colour_model(), painted()[0], ["int8_io"])
    return root / "variants/small/int8_io"


@pytest.fixture
def variant(tmp_path, made) -> Path:
    folder = Path(shutil.copytree(made, tmp_path / "variants/small/int8_io"))
    change(
        folder,
        licence="research only */ #error /*\n#error\x1b[2K",
        operators={"MEAN": 1},
        runtimes={MICRO: {"runs": True, "arena_bytes": 12345}},
    )
    return folder


def change(folder: Path, **changes: object) -> None:
    write_card(folder, VariantCard.model_validate(read_card(folder, VariantCard).model_dump() | changes))


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_the_header_compiles_and_holds_the_file(variant, tmp_path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    header = tmp_path / "model.h"
    done = CliRunner().invoke(app, ["export", "c", str(variant), "--out", str(header)])
    assert done.exit_code == 0, done.output
    (tmp_path / "main.c").write_text(PRINT)
    language = ["-std=c11"] if compiler == "gcc" else ["-std=c++11", "-x", "c++"]
    command = [compiler, *language, "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True)
    assert printed.stdout == (variant / "model.tflite").read_bytes()
    assert printed.stderr.decode() == f"{SIDE} 12345 1.000 -128"


def test_the_card_is_in_the_comment(variant) -> None:
    comment = c_header(variant).partition("*/")[0]
    for said in (
        "pocketface small/int8_io",
        "male, female",
        "years",
        "raw pixels 0..255, INT8 = value / 1.0",
        "arena: 12345 bytes",
        r"terms: research only * / #error / *\n#error\x1b[2K",
        sha256((variant / "model.tflite").read_bytes()).hexdigest(),
    ):
        assert said in comment


def test_what_cannot_be_exported_is_a_clear_error(variant) -> None:
    with pytest.raises(PocketfaceError, match="Vela compiled nothing of it"):
        c_header(variant, npu=True)
    (variant / "model.tflite").write_bytes(b"another")
    with pytest.raises(PocketfaceError, match=f"not the file that {CARD} describes"):
        c_header(variant)
    (variant / "model.tflite").unlink()
    with pytest.raises(PocketfaceError, match="no such file"):
        c_header(variant)
    with pytest.raises(PocketfaceError, match="a model needs its card"):
        c_header(variant.parent)


COMPILED = b"what Vela made"


@pytest.mark.parametrize("file", ["/etc/passwd", "../../secret", "..", ".hidden", "a/b", "a\\b", "", "a\n"])
def test_a_card_names_no_file_outside_its_folder(variant, file: str) -> None:
    with pytest.raises(ValueError, match=r"npu\.file"):
        change(variant, npu={"accelerator": "u65", "file": file, "sha256": "0" * 64})
    card = json.loads((variant / CARD).read_text())
    (variant / CARD).write_text(json.dumps(card | {"npu": {"accelerator": "u65", "file": file}}))
    done = CliRunner().invoke(app, ["export", "c", str(variant), "--npu", "--out", str(variant / "out.h")])
    assert done.exit_code == 2
    assert "npu.file" in done.stderr
    assert not (variant / "out.h").exists()


def test_a_compiled_file_is_the_one_of_the_card(variant) -> None:
    about = {"accelerator": "u65", "file": "u65.tflite"}
    secret = variant.parent / "secret"
    secret.write_bytes(b"secret")
    for digest in (None, sha256(COMPILED).hexdigest()):
        change(variant, npu=about | {"sha256": digest})
        (variant / "u65.tflite").unlink(missing_ok=True)
        (variant / "u65.tflite").symlink_to(secret)
        with pytest.raises(PocketfaceError, match=r"u65\.tflite: not the file that card\.json describes"):
            c_header(variant, npu=True)
    (variant / "u65.tflite").unlink()
    (variant / "u65.tflite").write_bytes(COMPILED)
    assert f"[{len(COMPILED)}]" in c_header(variant, npu=True)
    with pytest.raises(PocketfaceError, match=r"small/int8_io.*not be made \(no kernel\\n\); take another"):
        change(variant, status="unavailable", reason="no kernel\n")
        c_header(variant)
