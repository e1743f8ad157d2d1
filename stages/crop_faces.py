"""Stage `crop_faces@DATASET`: a dataset's zip to packed, aligned faces and their index.

python stages/crop_faces.py utkface
python stages/crop_faces.py utkface --workers 8 --contact-sheet
"""

import argparse

import pandas as pd

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import part
from pocketface.cropping.build import build
from pocketface.cropping.sheets import write_sheets
from pocketface.faces.index import INDEX, FaceSet
from pocketface.faces.settings import Dataset


@exit_cleanly
def main() -> None:
    """Makes data/faces/DATASET from data/raw/DATASET; prints how many pictures came to what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", help="a name under `datasets:` in params.yaml")
    parser.add_argument("--workers", type=int, help="processes; as many as processors by default")
    parser.add_argument("--scheduler", help="address of a Dask scheduler, e.g. tcp://10.0.0.1:8786")
    parser.add_argument(
        "--contact-sheet", action="store_true", help="also lay out faces and rejects in data/contact_sheets"
    )
    args = parser.parse_args()

    settings = part(Dataset, "datasets", args.dataset)
    archive = outs.RAW / args.dataset / "files.zip"
    out = outs.FACES / args.dataset
    build(args.dataset, archive, settings, out, args.workers, args.scheduler)
    index = pd.read_parquet(out / INDEX, columns=["split", "status"])
    counts = index.assign(split=index["split"].fillna("none")).groupby("split")["status"]
    print(counts.value_counts().unstack(fill_value=0).to_string())
    if args.contact_sheet:
        for sheet in write_sheets(FaceSet.load(out), archive, outs.SHEETS):
            print(f"wrote {sheet}")


if __name__ == "__main__":
    main()
