"""Boxes and answers drawn into pictures."""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import written_whole
from pocketface.core.labels import NO_YES, in_words
from pocketface.cropping.detect import scaled

BOX, INK, PAPER = (255, 196, 0), (255, 255, 255), (30, 30, 30)
"""RGB."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE, SMALLEST, LARGEST = 1 / 30, 14, 64
"""Height of a line of text: its share of the picture's longer side, and limits in pixels."""
NARROWEST = 24
"""Characters of a line, at least; a picture that is narrower gets a margin."""


def described(face: dict[str, Any]) -> list[str]:
    """What there is to say of a face, a task each: `age 34 ± 5`, `gender female 98%`, `beard: yes 80%`."""
    said = []
    for head, answer in face.items():
        if isinstance(answer, str) and f"{head}_probability" in face:
            task, word = in_words(head, answer)
            told = f"{task}: {word}" if word in NO_YES else f"{task} {word}"
            said.append(f"{told} {face[f'{head}_probability']:.0%}")
        elif isinstance(answer, float) and not head.endswith(("_probability", "_error")):
            error = f" ± {face[f'{head}_error']:.0f}" if f"{head}_error" in face else ""
            said.append(f"{head} {answer:.0f}{error}")
    return said


def draw(picture: np.ndarray, faces: Sequence[dict[str, Any]], reduction: int = 1) -> np.ndarray:
    """The picture with a box round every face, and the answers below the picture: nothing lies over a face.

    Args:
        picture: uint8 `[H, W, 3]`, RGB; it is not changed.
        faces: as `pocketface.evaluation.predict` gives them; several are numbered, in their order.
        reduction: of the picture against the pixels that the boxes are in, as `decode_reduced` gives it.

    Returns:
        uint8 `[H + text, W or wider, 3]`, RGB.
    """
    height, width = picture.shape[:2]
    line = int(np.clip(LINE * max(height, width), SMALLEST, LARGEST))
    numbers = [f"{i}  " if len(faces) > 1 else "" for i, _ in enumerate(faces, 1)]
    characters = max(NARROWEST, 10 * width // _width("0123456789", line))
    told = [number + ", ".join(described(face)) for number, face in zip(numbers, faces, strict=True)]
    told = [text.replace("±", "+/-") for text in told]  # OpenCV's letters are ASCII
    lines = [part for text in told for part in textwrap.wrap(text, characters, subsequent_indent="   ")]
    widest = max((_width(text, line) + line for text in lines), default=0)
    drawn = np.full(
        (height + line * len(lines) + line // 2 * bool(lines), max(width, widest), 3), PAPER, np.uint8
    )
    drawn[:height, :width] = picture
    boxes = [scaled(face["box"], 1 / reduction) for face in faces]
    for (left, top, right, bottom), number in zip(boxes, numbers, strict=True):
        cv2.rectangle(drawn[:height, :width], (left, top), (right, bottom), BOX, max(1, line // 10))
        if number and (place := _free((left, top, right, bottom), boxes, line, (width, height))):
            x, y = place
            cv2.rectangle(drawn, place, (x + line - 1, y + line - 1), PAPER, cv2.FILLED)
            _write(drawn, number.strip(), x + line // 4, y, line, BOX)
    for i, text in enumerate(lines):
        _write(drawn, text, line // 2, height + line * i, line, INK)
    return drawn


def _free(
    box: tuple[int, ...], boxes: Sequence[tuple[int, ...]], side: int, extent: tuple[int, int]
) -> tuple[int, int] | None:
    """Left and top of a square beside a box, in the picture and over no face; None if there is none."""
    left, top, right, bottom = box
    for x, y in ((left, top - side), (left, bottom), (left - side, top), (right, top)):
        inside = 0 <= x <= extent[0] - side and 0 <= y <= extent[1] - side
        if inside and all(x >= b[2] or x + side <= b[0] or y >= b[3] or y + side <= b[1] for b in boxes):
            return x, y
    return None


def _scale(line: int) -> float:
    return cv2.getFontScaleFromHeight(FONT, round(0.6 * line))


def _width(text: str, line: int) -> int:
    return cv2.getTextSize(text, FONT, _scale(line), max(1, line // 16))[0][0]


def _write(drawn: np.ndarray, text: str, left: int, top: int, line: int, colour: tuple[int, ...]) -> None:
    place = (left, top + round(0.8 * line))
    cv2.putText(drawn, text, place, FONT, _scale(line), colour, max(1, line // 16), cv2.LINE_AA)


def write(path: Path, drawn: np.ndarray) -> None:
    """Writes a picture file of the kind that its name says.

    Raises:
        PocketfaceError: no such kind, or it cannot be written there.
    """
    try:
        whole, content = cv2.imencode(path.suffix, drawn[..., ::-1])
        if whole:
            with written_whole(path) as partial:
                partial.write_bytes(content.tobytes())
            return
    except (cv2.error, OSError):
        pass
    raise PocketfaceError(
        f"{path}: cannot be written; give a name that ends in .png or .jpg, in a folder of yours"
    )


def places(files: Sequence[Path], out: Path) -> list[Path]:
    """Where the drawn picture of each file goes: `out` itself for one, else `out/NAME.png`, all different.

    Raises:
        PocketfaceError: several pictures, and `out` is the name of one.
    """
    if out.suffix and not out.is_dir():
        if len(files) > 1:
            raise PocketfaceError(f"--draw {out}: there are {len(files)} pictures; give a folder")
        return [out]
    found: dict[Path, None] = {}
    for file in files:
        numbered = (f"{file.stem}-{number}" for number in itertools.count(2))
        wanted = (out / f"{name}.png" for name in itertools.chain([file.stem], numbered))
        found[next(place for place in wanted if place not in found)] = None
    return list(found)
