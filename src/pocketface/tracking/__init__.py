"""MLflow: the view on what the graph produced; DVC stays the truth.

    publish.track(study)                                # publishes everything, once
    curves = live.LiveCurves(study, "age_gender", key)  # while training runs

The store is `mlflow.db` in the repository, or what `MLFLOW_TRACKING_URI` names. Nothing depends on it.
"""
