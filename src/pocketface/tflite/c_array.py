"""A variant as a C array, to be compiled into the firmware of a microcontroller.

The header compiles as C11 and as C++11. What a program must know to use the model (labels, scales, the memory
that TensorFlow Lite Micro needs) is a comment above the array; its numbers are macros.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pocketface.cards import CARD, MODEL_FILE, Port, VariantCard, read_card
from pocketface.core.errors import PocketfaceError
from pocketface.core.files import sha256
from pocketface.tflite.meaning import opened
from pocketface.tflite.runtimes import MICRO

ROW = 16
"""Bytes a line."""


def c_header(variant: Path, npu: bool = False) -> str:
    """The text of a header with the file of a variant's folder, or the one that Vela compiled for an Ethos-U.

    Raises:
        PocketfaceError: the variant has no card or no file, or the file is not the one that the card
            describes, see `pocketface.tflite.meaning`.
    """
    card = read_card(variant, VariantCard)
    file, ports = _file(variant, card, npu)
    name = re.sub(r"\W", "_", f"{card.model}_{card.level}")
    content = file.read_bytes()
    rows = (content[start : start + ROW] for start in range(0, len(content), ROW))
    return "\n".join(
        [
            "/*",
            *(f" * {_harmless(line)}".rstrip() for line in _about(card, ports, file, npu)),
            " */",
            f"#ifndef POCKETFACE_{name.upper()}_H",
            f"#define POCKETFACE_{name.upper()}_H",
            "",
            *_macros(card, ports, name.upper()),
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


def _file(variant: Path, card: VariantCard, npu: bool) -> tuple[Path, dict[str, Port]]:
    if card.status != "ok":
        raise PocketfaceError(f"{variant}: this level could not be made ({card.reason}); take another")
    if npu and (card.npu is None or card.npu.file is None):
        raise PocketfaceError(
            f"{variant}: Vela compiled nothing of it; take an integer level in micro/MODEL, where the stage "
            "`micro` leaves them (docs/deploy.md)"
        )
    plain = variant / MODEL_FILE
    compiled = variant / card.npu.file if npu and card.npu and card.npu.file else plain
    for file in (plain, compiled):
        if not file.is_file():
            raise PocketfaceError(f"{file}: no such file; `dvc repro` or `dvc checkout` brings it")
    if compiled != plain and card.npu and sha256(compiled) != card.npu.sha256:
        raise PocketfaceError(f"{compiled}: not the file that {CARD} describes; convert it again")
    return compiled, opened(plain, card).ports


def _about(card: VariantCard, ports: dict[str, Port], file: Path, npu: bool) -> Iterator[str]:
    yield f"pocketface {card.model}/{card.level}: {file.name}, {file.stat().st_size} bytes"
    yield f"sha256 {sha256(file)}"
    yield ""
    seen = card.input
    shape = f"{seen.size}x{seen.size}x{seen.channels}"
    yield f"input image: {shape}, raw pixels 0..255, {_stored(ports['image'])}"
    yield f"    an aligned face ({card.crop.geometry}), margin {seen.margin:g}, shift {seen.shift:g}"
    for head, output in card.outputs.items():
        said = ", ".join(output.labels) if output.labels else output.unit
        yield f"output {head}: {output.kind} ({said}), {_stored(ports[head])}"
    yield ""
    yield f"operators: {', '.join(f'{kind} {count}' for kind, count in sorted(card.operators.items()))}"
    if arena := _arena(card):
        yield f"TensorFlow Lite Micro's arena: {arena} bytes{' (of model.tflite)' if npu else ''}"
    if npu and card.npu:
        yield f"compiled for {card.npu.accelerator}: {card.npu.cycles} cycles a face by Vela's estimate"
    yield f"trained on {card.dataset}; terms: {card.licence}"


def _stored(port: Port) -> str:
    return port.dtype if port.scale is None else f"{port.dtype} = value / {port.scale!r} + {port.zero_point}"


def _macros(card: VariantCard, ports: dict[str, Port], name: str) -> Iterator[str]:
    yield f"#define {name}_SIZE {card.input.size}"
    yield f"#define {name}_CHANNELS {card.input.channels}"
    if arena := _arena(card):
        yield f"#define {name}_ARENA_BYTES {arena}"
    for port, found in ports.items():
        if found.scale is not None:
            yield f"#define {name}_{port.upper()}_SCALE {found.scale!r}f"
            yield f"#define {name}_{port.upper()}_ZERO_POINT ({found.zero_point})"


def _arena(card: VariantCard) -> int | None:
    return card.runtimes[MICRO].arena_bytes if MICRO in card.runtimes else None


def _harmless(line: str) -> str:
    """A line that neither ends its comment nor begins another; a card's text is one line."""
    return line.replace("*/", "* /").replace("/*", "/ *")
