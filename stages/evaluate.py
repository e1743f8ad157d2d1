"""Stage `evaluate`: one variant's answers, on its own dataset and on the hold-out ones.

python stages/evaluate.py MODEL LEVEL      # writes evaluation/MODEL/LEVEL/
"""

import argparse
from pathlib import Path

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly


@exit_cleanly
def main() -> None:
    """Writes evaluation/MODEL/LEVEL; a variant that failed gets a row that says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name under `models:` in params.yaml")
    parser.add_argument("level", help="a name under `levels:` in params.yaml")
    wanted = parser.parse_args()

    from pocketface.core.files import write_json, written_whole
    from pocketface.evaluation.evaluate import evaluate_variant

    name = Path(wanted.model, wanted.level)
    run, predictions = evaluate_variant(outs.VARIANTS / name, outs.VIEWS / wanted.model)
    with written_whole(outs.EVALUATION / name) as folder:
        folder.mkdir(parents=True)
        write_json(folder / "run.json", run)
        predictions.to_parquet(folder / "predictions.parquet", index=False)
    if run["status"] != "ok":
        print(f"{name} {run['status']}: {run['reason']}")
    for dataset, faces in predictions["dataset"].value_counts(sort=False).items():
        print(f"{name} answered {faces} faces of {dataset}")


if __name__ == "__main__":
    main()
