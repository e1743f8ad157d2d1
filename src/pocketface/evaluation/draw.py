"""Boxes and answers drawn into pictures.

    write(Path("out.png"), draw(decode(path.read_bytes()), row["faces"]))

`row` is one of what `pocketface.evaluation.predict` yields.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.core.files import written_whole
from pocketface.cropping.detect import scaled

BOX, INK, PAPER = (255, 196, 0), (255, 255, 255), (30, 30, 30)
"""RGB."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
LINES_A_FACE = 7
"""Lines of text that are as high as a face, in the middle of the allowed range of letters."""
SMALLEST, LARGEST = 12, 64
"""Height of a line in pixels."""


def described(face: dict[str, Any]) -> list[str]:
    """What there is to say of a face, a line a head: `age 34`, `gender female 98%`."""
    lines = []
    for head, answer in face.items():
        if isinstance(answer, str):
            lines.append(f"{head} {answer} {face[f'{head}_probability']:.0%}")
        elif head != "box" and not head.endswith("_probability"):
            lines.append(f"{head} {answer:.0f}")
    return lines


def draw(picture: np.ndarray, faces: Sequence[dict[str, Any]], reduction: int = 1) -> np.ndarray:
    """The picture with a box round every face, and what it was answered beside it.

    Args:
        picture: uint8 `[H, W, 3]`, RGB; it is not changed.
        faces: as `pocketface.evaluation.predict` gives them.
        reduction: of the picture against the pixels that the boxes are in, as `decode_reduced` gives it.

    Returns:
        uint8 `[H, W, 3]`, RGB.
    """
    drawn = np.ascontiguousarray(picture)
    drawn = drawn.copy() if drawn is picture else drawn
    for face in faces:
        left, top, right, bottom = scaled(face["box"], 1 / reduction)
        line = int(np.clip((bottom - top) / LINES_A_FACE, SMALLEST, LARGEST))
        cv2.rectangle(drawn, (left, top), (right, bottom), BOX, max(1, line // 10))
        _write_lines(drawn, described(face), left, bottom, line)
    return drawn


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
    if out.suffix:
        if len(files) > 1:
            raise PocketfaceError(f"--draw {out}: there are {len(files)} pictures; give a folder")
        return [out]
    taken: dict[str, int] = {}
    found = []
    for file in files:
        count = taken[file.stem] = taken.get(file.stem, 0) + 1
        found.append(out / (f"{file.stem}.png" if count == 1 else f"{file.stem}-{count}.png"))
    return found


def _write_lines(drawn: np.ndarray, lines: Sequence[str], left: int, bottom: int, line: int) -> None:
    """Below the box where there is room, else at the picture's lower edge; never off its right edge."""
    if not lines:
        return
    height, width = drawn.shape[:2]
    scale = cv2.getFontScaleFromHeight(FONT, round(0.6 * line))
    thickness = max(1, line // 16)
    widest = max(cv2.getTextSize(text, FONT, scale, thickness)[0][0] for text in lines) + line // 2
    x = max(0, min(left, width - widest))
    y = max(0, min(bottom, height - line * len(lines)))
    cv2.rectangle(drawn, (x, y), (x + widest, y + line * len(lines)), PAPER, cv2.FILLED)
    for i, text in enumerate(lines):
        place = (x + line // 4, y + line * i + round(0.75 * line))
        cv2.putText(drawn, text, place, FONT, scale, INK, thickness, cv2.LINE_AA)
