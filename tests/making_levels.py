"""Makes the folders of the fixture `levels`: python making_levels.py FOLDER."""

import sys
from pathlib import Path

from pocketface.faces.selection import save as save_selection
from pocketface.faces.selection import select
from pocketface.levels import LEVELS
from pocketface.levels.convert import convert
from pocketface.levels.export import export
from pocketface.levels.settings import LevelSettings
from pocketface.training.fit import fit, save
from tiny_training import face_set, study

SETTINGS = LevelSettings(calibration=8, epochs=2, max_drop={"age_mae": 5, "gender_accuracy": 0.5})
"""Of every level."""


def main(root: Path) -> None:
    """Trains for two epochs, and makes every level."""
    plan = study()
    save(fit(plan, "small", [face_set()], "research only"), root / "models")
    selection = select(face_set(), face_set(dataset="photos", seed=1), plan.models["small"].input)
    save_selection(selection, root / "views")
    export(root / "models", root / "views", root / "exported")
    for level in LEVELS:
        convert(root / "exported", root / "views", level, SETTINGS, root / "variants" / level)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
