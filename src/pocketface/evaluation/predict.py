"""Answers for every face in pictures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketface.core.errors import PocketfaceError
from pocketface.cropping.picture import SIGNATURE_BYTES, is_picture
from pocketface.datasets import PICTURE_SUFFIXES
from pocketface.evaluation.face_search import DETECTOR, NO_FACE, REASONS, Looked, Search, each, look
from pocketface.evaluation.variants import Variant, second_to
from pocketface.faces.settings import Detector

Outputs = dict[str, np.ndarray]

OTHER = "not a picture, or of a kind that is not read"


def files_in(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The picture files that paths name, and the other files below folders among them, but for hidden ones.

    A file that is named counts as a picture whatever it is; below a folder, one that its content or its name
    says to be one. Those of a folder are sorted.

    Raises:
        PocketfaceError: there is no picture at all.
    """
    pictures: dict[Path, None] = {}
    others: dict[Path, None] = {}
    for path in paths:
        for file in _files_below(path) if path.is_dir() else [path]:
            if file in pictures or (file in others and file != path):
                continue
            (pictures if file == path or _is_picture(file) else others)[file] = None
    others = {file: None for file in others if file not in pictures}
    if not pictures:
        told = skipped([], list(others)) or "no files there"
        raise PocketfaceError(f"no pictures in {', '.join(map(str, paths))}: {told}")
    return list(pictures), list(others)


def skipped(rows: Sequence[dict[str, Any]], others: Sequence[Path]) -> str:
    """A line that counts the pictures of `rows` that could not be read, and `others`, by ending and reason.

    It is empty if there are none.
    """
    unread = [row for row in rows if row["status"] not in ("ok", NO_FACE)]
    why = [(Path(row["path"]), REASONS[row["status"]]) for row in unread]
    why += [(file, OTHER) for file in others]
    counts = Counter((file.suffix.lower() or "without an ending", told) for file, told in why)
    listed = ", ".join(f"{count} {ending} ({told})" for (ending, told), count in counts.most_common())
    return f"skipped {len(why)} file{'s' * (len(why) > 1)}: {listed}" if why else ""


def predict(
    variants: Sequence[Variant], files: Sequence[Path], workers: int = 1, detector: Detector = DETECTOR
) -> Iterator[dict[str, Any]]:
    """What the models answer about every face.

    Args:
        variants: the models.
        files: picture files.
        workers: threads or processes that share the files.
        detector: what finds the faces.

    Yields:
        Per file `path`, `status` (`ok`, or one of `pocketface.evaluation.face_search.REASONS`) and `faces`,
        largest first: `box` [left, top, right, bottom] in the file's own pixels, turned upright, and per
        head its answer; for classes `HEAD_probability`, the share given to that answer, and with an age
        `age_error`, the mean error in years at such ages, where it is known. Where several
        models answer a head, the first one's is the answer; `second_opinions` then has an entry per other
        one, `model` and its answers. Of a picture that could not be read `detail` says what was found, and
        the remedy.
    """
    second = second_to(variants)
    for looked, raw in answered(variants, files, Search(every=True, detect=detector), workers):
        faces = []
        for box, outputs in zip(looked.boxes, raw, strict=True):
            face: dict[str, Any] = {"box": list(box)}
            for variant, output, others in zip(variants, outputs, second, strict=True):
                _add(face, variant.name, _answers(variant, output), others)
            faces.append(face)
        detail = {"detail": looked.detail} if looked.detail else {}
        yield {"path": str(looked.path), "status": looked.reason or "ok", **detail, "faces": faces}


def answered(
    variants: Sequence[Variant], files: Sequence[Path], search: Search, workers: int
) -> Iterator[tuple[Looked, list[list[Outputs]]]]:
    """What was found in every file, in order, and per face and per model its raw outputs, head -> `[K]`.

    The pixels of the faces are left out.
    """
    wanted = [(variant.crop, variant.input) for variant in variants]

    def one(file: Path) -> tuple[Looked, list[list[Outputs]]]:
        looked = look(file, wanted, search)
        outputs = [
            [variant.runner.one(pixels) for variant, pixels in zip(variants, face, strict=True)]
            for face in looked.faces
        ]
        return replace(looked, faces=()), outputs

    return each(one, files, workers)


def _add(face: dict[str, Any], model: str, answers: dict[str, Any], second: set[str]) -> None:
    others = {name: told for name, told in answers.items() if _head(name) in second}
    face |= {name: told for name, told in answers.items() if name not in others}
    if others:
        face.setdefault("second_opinions", []).append({"model": model} | others)


def _head(name: str) -> str:
    return name.removesuffix("_probability").removesuffix("_error")


def _answers(variant: Variant, outputs: Outputs) -> dict[str, Any]:
    answers = variant.columns({head: output[None] for head, output in outputs.items()})
    face: dict[str, Any] = {}
    for head, meaning in variant.outputs.items():
        answer = answers[f"{head}_pred"][0]
        if meaning.kind == "number":
            face[head] = float(answer)
            errors = [error for start, error in variant.age_errors if start <= answer]
            if head == "age" and errors:
                face["age_error"] = errors[-1]
        else:
            face[head] = answer
            face[f"{head}_probability"] = float(answers[f"{head}_prob_{answer}"][0])
    return face


def _files_below(folder: Path) -> list[Path]:
    """The files below a folder, sorted, without hidden ones and those in hidden folders."""
    shown = (file for file in folder.rglob("*") if "/." not in f"/{file.relative_to(folder).as_posix()}")
    return sorted(file for file in shown if file.is_file())


def _is_picture(file: Path) -> bool:
    if file.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        with file.open("rb") as opened:
            return is_picture(opened.read(SIGNATURE_BYTES))
    except OSError:
        return True  # so that it is told that it cannot be opened
