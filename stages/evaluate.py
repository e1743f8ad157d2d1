"""Stage `evaluate@MODEL`: the answers of a model's variants, on its own dataset and on the hold-out ones.

python stages/evaluate.py MODEL      # writes evaluation/MODEL/LEVEL/ for every level
"""

from pocketface.core import outs
from pocketface.core.errors import exit_cleanly
from pocketface.core.params import argument, part


@exit_cleanly
def main() -> None:
    """Writes evaluation/MODEL; a variant that failed gets a row that says so."""
    model = argument("model", "a model of params.yaml", __doc__, raw=True)

    from pocketface.core.files import write_json, written_whole
    from pocketface.evaluation.evaluate import evaluate_variants

    levels = list(part(dict[str, object], "levels"))
    variants = [outs.VARIANTS / model / level for level in levels]
    with written_whole(outs.EVALUATION / model) as folder:
        runs = evaluate_variants(variants, outs.VIEWS / model)
        for level, (run, predictions) in zip(levels, runs, strict=True):
            (folder / level).mkdir(parents=True)
            write_json(folder / level / "run.json", run)
            predictions.to_parquet(folder / level / "predictions.parquet", index=False)
            said = f"answered {len(predictions):,} faces" if run["status"] == "ok" else run["reason"]
            print(f"{model}/{level} {run['status']}: {said}")


if __name__ == "__main__":
    main()
