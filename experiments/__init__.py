"""Which questions are asked of `core`: recipes, studies, and the sweep that answers them.

Reading order: params · recipe · study (files → trials) · provenance (what a result is made from) · store (its
place) · memory · trial (one training) · sweep (which trials run) · plan (what they take) · run (command line, Ray) ·
progress · tracking (what MLflow shows) · results (what the analysis reads).
"""

import os
import secrets

# All of this is read when Ray or MLflow is first imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to their makers
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # they would break our line of progress
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # half a minute, enough for a server to start again
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its tables would break our line of progress
if "RAY_ADDRESS" not in os.environ and "RAY_AUTH_MODE" not in os.environ:
    # A Ray of our own takes a token that ends with it; Ray itself would leave one in the home directory.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
