"""What published models answer for faces that another one is trained on.

A teacher sees the crops as it does in use, and as it stands: without the random changes that the model sees.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from pocketface import published
from pocketface.core.errors import PocketfaceError
from pocketface.core.labels import meaning
from pocketface.faces.index import FaceSet
from pocketface.faces.view import STILL, detail_of, view
from pocketface.training.fit import Teach, load

BATCH = 128


def asked(folders: Sequence[str], sets: Sequence[FaceSet], heads: Sequence[str]) -> Teach:
    """Opens teachers.

    Args:
        folders: published ones, relative to the root of the repository.
        sets: the crops.
        heads: of the model that learns; teachers answer those of classes that they have.

    Returns:
        A function of N rows of these sets, see `splits.together`, to head -> float32 `[N, classes]`.

    Raises:
        PocketfaceError: a folder is not a published one, or its teacher has none of these heads.
    """
    wanted = [head for head in heads if meaning(head).kind == "classes"]
    teachers = []
    for folder in map(Path, folders):
        card = published.read(folder)
        published.check(folder, card)
        if not set(wanted) & set(card.outputs):
            raise PocketfaceError(
                f"{folder}: answers {', '.join(card.outputs)}; a teacher of {', '.join(heads)} must answer "
                f"{' or '.join(wanted) or 'classes, which this model has none of'}"
            )
        teachers.append((folder.name, card, load(card, folder)))

    crops = {faces.dataset: faces for faces in sets}

    def teach(rows: pd.DataFrame) -> dict[str, np.ndarray]:
        answers: dict[str, list[np.ndarray]] = {}
        for name, card, model in teachers:
            detail, parts = detail_of(card.crop), []
            for start in tqdm(range(0, len(rows), BATCH), desc=f"asking {name}", disable=None):
                part = rows.iloc[start : start + BATCH]
                seen = [
                    view(crops[dataset].pixels[face], crops[dataset].crop, card.input, STILL, detail)
                    for dataset, face in zip(part["dataset"], part["face"].astype(int), strict=True)
                ]
                parts.append(model.predict_on_batch(np.stack(seen).astype(np.float32)))
            for head in filter(card.outputs.__contains__, wanted):
                answers.setdefault(head, []).append(np.concatenate([part[head] for part in parts]))
        return {head: np.stack(several).mean(axis=0) for head, several in answers.items()}

    return teach
