"""MLflow: the view on what the graph produced; DVC stays the truth, and nothing depends on the store.

publish.track(study)                                # publishes everything, once
curves = live.LiveCurves(study, "age_gender", key)  # while training runs
"""
