import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_outs import STUDY, model_card
from pocketface.cards import VariantCard, write_card
from pocketface.cli import app
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.study import Study
from pocketface.tflite.c_array import c_header
from pocketface.tflite.runtimes import MICRO

PRINT = """
#include <stdio.h>
#include "model.h"
int main(void) {
    fprintf(stderr, "%d %d %.3f %d", AGE_GENDER_INT8_SIZE, AGE_GENDER_INT8_ARENA_BYTES,
            (double)AGE_GENDER_INT8_IMAGE_SCALE, AGE_GENDER_INT8_IMAGE_ZERO_POINT);
    return fwrite(age_gender_int8, 1, sizeof age_gender_int8, stdout) != sizeof age_gender_int8;
}
"""


@pytest.fixture
def variant(tmp_path, colour_model) -> Path:
    folder = tmp_path / "variants/age_gender/int8"
    folder.mkdir(parents=True)
    file = Path(shutil.copy(colour_model, folder / "model.tflite"))
    about = model_card(Study.model_validate(STUDY), "age_gender").model_dump()
    facts = {
        "level": "int8",
        "licence": "research only */ #error",
        "sha256": sha256(file),
        "size_bytes": file.stat().st_size,
        "operators": {"MEAN": 1},
        "ports": {"image": {"dtype": "INT8", "scale": 1.0, "zero_point": -128}, "age": {"dtype": "FLOAT32"}},
        "runtimes": {MICRO: {"runs": True, "arena_bytes": 12345}},
    }
    write_card(folder, VariantCard.model_validate(about | facts))
    return folder


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
    size = Study.model_validate(STUDY).models["age_gender"].input.size
    assert printed.stderr.decode() == f"{size} 12345 1.000 -128"


def test_the_card_is_in_the_comment(variant) -> None:
    comment = c_header(variant).partition("*/")[0]
    for said in (
        "pocketface age_gender/int8",
        "male, female",
        "years",
        "raw pixels 0..255, INT8 = value / 1.0 + -128",
        "arena: 12345 bytes",
        "terms: research only * / #error",
        sha256(variant / "model.tflite"),
    ):
        assert said in comment


def test_what_cannot_be_exported_is_a_clear_error(variant) -> None:
    with pytest.raises(PocketfaceError, match="Vela compiled nothing of it"):
        c_header(variant, npu=True)
    (variant / "model.tflite").write_bytes(b"another")
    with pytest.raises(PocketfaceError, match="is not the file that int8's card describes"):
        c_header(variant)
    (variant / "model.tflite").unlink()
    with pytest.raises(PocketfaceError, match="no such file"):
        c_header(variant)
    with pytest.raises(PocketfaceError, match="a model needs its card"):
        c_header(variant.parent)
