"""Stage `evaluate`: one variant's metrics and answers, on its own dataset and on the hold-out ones.

python stages/evaluate.py MODEL LEVEL      # writes evaluation/MODEL/LEVEL/
"""

import argparse
from pathlib import Path

from pocketface.errors import exit_cleanly
from pocketface.evaluation.evaluate import evaluate_variant
from pocketface.files import write_json, written_whole
from pocketface.study import load_study


@exit_cleanly
def main() -> None:
    """Measures the variant; one that failed earlier becomes a row that says so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", help="a model of params.yaml")
    parser.add_argument("level", help="a level of params.yaml")
    wanted = parser.parse_args()
    metrics, predictions = evaluate_variant(load_study(), wanted.model, wanted.level)
    with written_whole(Path("evaluation") / wanted.model / wanted.level) as folder:
        folder.mkdir(parents=True)
        write_json(folder / "metrics.json", metrics)
        predictions.to_parquet(folder / "predictions.parquet", index=False)


if __name__ == "__main__":
    main()
