"""A variant as a C array, to be compiled into the firmware of a microcontroller.

    text = c_header(Path("variants/expression/int8_io"))

The header compiles as C11 and as C++11. What a program must know to use the model (its labels, the scales of
its input and outputs, the memory that TensorFlow Lite Micro needs) stands above the array as a comment; what
it can use as a number, as macros.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pocketface.cards import MODEL_FILE, Port, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.tflite.runtimes import MICRO

ROW = 16
"""Bytes a line."""


def c_header(variant: Path, npu: bool = False) -> str:
    """The text of a header with a variant's file.

    Args:
        variant: its folder.
        npu: take the file that Vela compiled for an Ethos-U instead.

    Raises:
        PocketfaceError: the variant has no card or no file, or the file is not that of the card.
    """
    card = read_card(variant, VariantCard)
    file = _file(variant, card, npu)
    name = re.sub(r"\W", "_", f"{card.model}_{card.level}")
    content = file.read_bytes()
    rows = (content[start : start + ROW] for start in range(0, len(content), ROW))
    return "\n".join(
        [
            *(["/*", *(f" * {line}".rstrip() for line in map(_harmless, _about(card, file, npu))), " */"]),
            f"#ifndef POCKETFACE_{name.upper()}_H",
            f"#define POCKETFACE_{name.upper()}_H",
            "",
            *_macros(card, name.upper()),
            "",
            "#ifdef __cplusplus",
            f"alignas(16) static const unsigned char {name}[{len(content)}] = {{",
            "#else",
            f"_Alignas(16) static const unsigned char {name}[{len(content)}] = {{",
            "#endif",
            *("    " + " ".join(f"{byte:#04x}," for byte in row) for row in rows),
            "};",
            "",
            "#endif",
            "",
        ]
    )


def _file(variant: Path, card: VariantCard, npu: bool) -> Path:
    if card.status == "failed":
        raise PocketfaceError(f"{variant}: this level could not be made ({card.reason}); take another")
    if npu and (card.npu is None or card.npu.file is None):
        raise PocketfaceError(
            f"{variant}: Vela compiled nothing of it; take an integer level, made with 'pocketface[micro]'"
        )
    file = variant / (card.npu.file if npu and card.npu and card.npu.file else MODEL_FILE)
    if not file.is_file():
        raise PocketfaceError(f"{file}: no such file; `dvc repro` or `dvc checkout` brings it")
    if not npu and sha256(file) != card.sha256:
        raise PocketfaceError(f"{file}: is not the file that {variant.name}'s card describes; convert again")
    return file


def _about(card: VariantCard, file: Path, npu: bool) -> Iterator[str]:
    """The card, line by line."""
    yield f"pocketface {card.model}/{card.level}: {file.name}, {file.stat().st_size} bytes"
    yield f"sha256 {sha256(file)}"
    yield ""
    seen = card.input
    yield f"input image: {seen.size}x{seen.size}x{seen.channels}, raw pixels 0..255, {_stored(card, 'image')}"
    yield f"    an aligned face ({card.crop.geometry}), margin {seen.margin:g}, shift {seen.shift:g}"
    for head, output in card.outputs.items():
        said = ", ".join(output.labels) if output.labels else output.unit
        yield f"output {head}: {output.kind} ({said}), {_stored(card, head)}"
    yield ""
    yield f"operators: {', '.join(f'{kind} {count}' for kind, count in sorted(card.operators.items()))}"
    if arena := _arena(card):
        yield f"TensorFlow Lite Micro's arena: {arena} bytes{' (of model.tflite)' if npu else ''}"
    if npu and card.npu:
        yield f"compiled for {card.npu.accelerator}: {card.npu.cycles} cycles a face by Vela's estimate"
    yield f"trained on {card.dataset}; terms: {card.licence}"


def _stored(card: VariantCard, port: str) -> str:
    found = card.ports.get(port, Port(dtype="FLOAT32"))
    if found.scale is None:
        return found.dtype
    return f"{found.dtype} = value / {found.scale!r} + {found.zero_point}"


def _macros(card: VariantCard, name: str) -> Iterator[str]:
    """Numbers that a program can use."""
    yield f"#define {name}_SIZE {card.input.size}"
    yield f"#define {name}_CHANNELS {card.input.channels}"
    if arena := _arena(card):
        yield f"#define {name}_ARENA_BYTES {arena}"
    for port, found in card.ports.items():
        if found.scale is not None:
            yield f"#define {name}_{port.upper()}_SCALE {found.scale!r}f"
            yield f"#define {name}_{port.upper()}_ZERO_POINT ({found.zero_point})"


def _arena(card: VariantCard) -> int | None:
    return card.runtimes[MICRO].arena_bytes if MICRO in card.runtimes else None


def _harmless(line: str) -> str:
    """A line that cannot end its comment."""
    return line.replace("*/", "* /").replace("\n", " ")
