"""MLflow: the view on what the graph produced; DVC stays the truth.

    track(study)                                   # publishes everything, once
    curves = LiveCurves(study, "age_gender", key)  # while training runs

The store is `mlflow.db` in the repository, or what `MLFLOW_TRACKING_URI` names. Nothing depends on it.
"""

from pocketface.tracking.live import LiveCurves
from pocketface.tracking.publish import Summary, track

__all__ = ["LiveCurves", "Summary", "track"]
