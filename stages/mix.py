"""Stage `mix@DATASET`: a dataset's faces become part of the mix that a model may be trained on.

A dependency cannot be a list in dvc.yaml, and copies of the crops would be large. So the mix is a dataset of
its own, `data/faces/mix`, that holds the hashes of each of its parts: it changes when they do, and only
the models that are trained on it depend on them.
"""

import argparse
from pathlib import Path

from pocketface.errors import exit_cleanly
from pocketface.files import sha256, write_json


@exit_cleanly
def main() -> None:
    """Writes the hashes of data/faces/DATASET into data/faces/mix/DATASET.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="a name under `mix:` in params.yaml")
    name = parser.parse_args().dataset

    faces = Path("data/faces")
    files = sorted(path for path in (faces / name).iterdir() if path.is_file())
    write_json(faces / "mix" / f"{name}.json", {path.name: sha256(path) for path in files})


if __name__ == "__main__":
    main()
