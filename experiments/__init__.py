"""Which questions are asked of `core`: recipes, studies, and the sweep that answers them.

Reading order: params · recipe · study (files → trials) · provenance · store (what a result was made from, and its
place) · trial (one training) · sweep (which trials run) · run (command line, Ray) · progress · tracking (MLflow) ·
results (what the analysis reads).
"""

import os

# Set before Ray or MLflow is imported anywhere: nothing is sent to their makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
