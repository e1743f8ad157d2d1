"""Where everything of a repository is, relative to its root: what DVC makes, and what git holds."""

from pathlib import Path

PARAMS, STUDIES, BASELINES, WEIGHTS = map(Path, ("params.yaml", "studies", "baselines", "weights"))
SOURCES, ARCHIVES = Path("data/sources.yaml"), Path("data/archives")
RELEASED = Path("docs/results")
"""What git keeps of the reports of released studies, a folder each."""

IMPORTS, RAW, FACES, LEARNS_FROM, VIEWS = (
    Path("data", part) for part in ("imports", "raw", "faces", "learns_from", "views")
)
MODELS, FOLDS, EXPORTED, VARIANTS, MICRO, EVALUATION, TIMINGS = map(
    Path, ("models", "folds", "exported", "variants", "micro", "evaluation", "timings")
)
RESULTS, REPORTS = Path("results/results.parquet"), Path("reports")
"""The table of the study in params.yaml; a folder a study, of which git keeps `metrics.json` alone."""

RUNS, SHEETS = Path("runs"), Path("data/contact_sheets")
"""What a training keeps while it runs; pictures to look at. Neither is an out."""
DVC, LOCK = Path(".dvc"), Path("dvc.lock")
KEPT = DVC / "tmp/pocketface"
"""Of this clone alone, as all of its folder: what params.yaml was taken from, the last good dvc.lock."""
