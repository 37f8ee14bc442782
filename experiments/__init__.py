"""The experiments: recipes, studies, and the sweep that trains what they ask for.

Reading order: params · settings · study (files → trials) · code_digest, provenance (what a result is made from) · store
(where it is kept) · memory · trial (one training) · trial_workers (by several processes) · jobs (which trials run) ·
sweep (one job, or all in turn) · parallel (all by Ray) · planning, cost (what they take) · run_studies, conduct ·
run (command line) · search (settings drawn at random) · progress · tracking (what MLflow shows) · results and
from_detections (what the analysis reads) · rescore (new metrics of old trials).
"""

import logging
import os
import secrets

# Ray and MLflow read these when they are first imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # send no usage data
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # its errors are raised too, without a traceback
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # URLs would break our progress line
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # half a minute, enough for a server to restart
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its tables would break our progress line
if "RAY_ADDRESS" not in os.environ and "RAY_AUTH_MODE" not in os.environ:
    # A Ray that we start gets a token for this process only; Ray itself would store one in the home directory.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # else a line for each attempt to reach MLflow
