"""The face index: the packed crops of one dataset and what is known of every source picture.

    faces = FaceSet.load(Path("data/faces/utkface"))
    rows = faces.rows("val")                       # accepted rows of a split, a DataFrame
    pixels = faces.pixels[rows["face"]]            # uint8 [N, H, W, C], RGB or grey

Files: `faces.npy`, the crops; `crop.json`, the dataset's name and its crop; `index.parquet`, a row per source
picture, sorted by `image`: `image` (path in the dataset), `split` (null where unknown), `status` (`ok`, or
why it is not used), `face` (row of `faces.npy`), `box` ([left, top, right, bottom] in picture pixels),
`source_sha` (SHA-256 of the file), `phash` (perceptual hash of the face), `same_as` (the image that counts in
place of this copy; of a copy that counts with labels of its own, the first of them), then the labels.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pocketface.core.files import made_by
from pocketface.faces.settings import Crop

OK = "ok"
DUPLICATE = "duplicate"
"""The same picture as another one of its split, which counts."""
MEASURED_TOO = "measured_too"
"""A picture to learn from that is also one to measure on; it counts there."""
CONTRADICTORY = "contradictory"
"""The same picture stands in the dataset with other labels."""
BY_DESCRIPTOR = "dlib:"
"""Names of persons in the label `identity` begin with it where dlib's face descriptor told them apart."""
FACES, INDEX, CROP = "faces.npy", "index.parquet", "crop.json"
COLUMNS = ("image", "split", "status", "face", "box", "source_sha", "phash", "same_as")
"""Every index has these; all further columns are labels."""


@dataclass(frozen=True)
class FaceSet:
    """The faces of one dataset; see the module's docstring."""

    dataset: str
    pixels: np.ndarray
    index: pd.DataFrame
    crop: Crop

    @classmethod
    def load(cls, folder: Path) -> "FaceSet":
        """Opens a folder that `crop_faces` wrote, mapping the pixels; a bad file is a `PocketfaceError`."""
        folder = Path(folder)
        with made_by(f"crop_faces@{folder.name}", folder, "a face index"):
            about = json.loads((folder / CROP).read_text(encoding="utf-8"))
            return cls(
                dataset=about["dataset"],
                pixels=np.load(folder / FACES, mmap_mode="r", allow_pickle=False),
                index=pd.read_parquet(folder / INDEX),
                crop=Crop.model_validate(about["crop"]),
            )

    @property
    def labels(self) -> list[str]:
        """The label columns."""
        return [column for column in self.index.columns if column not in COLUMNS]

    def rows(self, split: str | None = None) -> pd.DataFrame:
        """The accepted rows, of one split or of all."""
        accepted = self.index[self.index["status"] == OK]
        return accepted if split is None else accepted[accepted["split"] == split]
