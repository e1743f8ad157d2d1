"""Answers for every face in pictures.

for row in predict(open_variants(folders), pictures_in([Path("holiday/")])):
    row["path"], row["status"], row["faces"][0]["age"]
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pocketface.errors import PocketfaceError
from pocketface.evaluation.finding import Search, look_at
from pocketface.evaluation.variants import Variant

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
"""Of a folder's files, those taken for pictures. A file that is named itself is always tried."""


def pictures_in(paths: Sequence[Path]) -> list[Path]:
    """The picture files that paths name: files as they are, and those below folders, sorted.

    Raises:
        PocketfaceError: there is no picture at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if _is_picture(file, path))
        else:
            files.append(path)
    if not files:
        raise PocketfaceError(f"no pictures in {', '.join(map(str, paths))} ({', '.join(sorted(ENDINGS))})")
    return list(dict.fromkeys(files))


def predict(variants: Sequence[Variant], files: Sequence[Path], workers: int = 1) -> Iterator[dict[str, Any]]:
    """What the models answer about every face.

    Args:
        variants: the models.
        files: picture files.
        workers: processes that search for faces, see `pocketface.evaluation.finding.look_at`.

    Yields:
        Per file `path`, `status` (`ok`, or one of `pocketface.evaluation.finding.REASONS`) and `faces`,
        largest first: `box` [left, top, right, bottom] in pixels, and per head its answer, and for classes
        `HEAD_probability`, the share given to that answer.
    """
    wanted = [(variant.crop, variant.input) for variant in variants]
    for looked in look_at(files, wanted, Search(every=True, detect="dlib"), workers):
        faces = []
        for box, seen in zip(looked.boxes, looked.faces, strict=True):
            face: dict[str, Any] = {"box": list(box)}
            for variant, pixels in zip(variants, seen, strict=True):
                face |= _answers(variant, pixels)
            faces.append(face)
        yield {"path": str(looked.path), "status": looked.reason or "ok", "faces": faces}


def _answers(variant: Variant, pixels: Any) -> dict[str, Any]:
    answers = variant.decode(variant.runner(pixels[None])).iloc[0]
    face: dict[str, Any] = {}
    for head, meaning in variant.outputs.items():
        answer = answers[f"{head}_pred"]
        if meaning.kind == "number":
            face[head] = float(answer)
        else:
            face[head] = answer
            face[f"{head}_probability"] = float(answers[f"{head}_prob_{answer}"])
    return face


def _is_picture(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in ENDINGS and not hidden and file.is_file()
