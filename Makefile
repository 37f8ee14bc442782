# Two commands matter: `make repro` rebuilds every study (`dvc repro`), `make test` runs the tests. Each makes .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/ready

# Telemetry off, for everything that is started here.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export RAY_USAGE_STATS_ENABLED := 0
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false

.PHONY: help repro report verify test ui bench lint lock

help:
	@echo "make repro   set up, then dvc repro: every study that is out of date, tables, plots, one page, comparison"
	@echo "make report  tables, plots and results/report.html again, from the results that are there"
	@echo "make verify  rebuild every table of reference/ from its records and tell what differs"
	@echo "make test    run the tests; RUN_SLOW=1 make test also those that take minutes (kills, a real MLflow server)"
	@echo "make ui      browse the runs in MLflow on http://127.0.0.1:5000; choose 'Model training' there"
	@echo "make bench   time the losses against their plain forms, and a training image with its parts"
	@echo "make lint    ruff and codespell"
	@echo "make lock    renew requirements.txt from requirements.in"

# uv installs the lock in a fraction of pip's time; it comes from the same registry. Bytecode is written at once: where
# PYTHONDONTWRITEBYTECODE is set, as in many containers, each process would compile torch anew, some 10 s a trial.
$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv==0.13.9
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python -r requirements.txt
	touch $@

# DVC does the rest: data.dvc -> sweep -> studies -> reports -> page -> compare (dvc.yaml).
repro: $(READY)
	dvc repro

report: $(READY)
	python -m analysis.report --params params.yaml
	-python -m analysis.studies.edge_purity
	python -m analysis.published_tables --params params.yaml
	python -m analysis.page --params params.yaml

verify: $(READY)
	python -m analysis.report --verify

# Ray's workers would yield to the other tests' processes until they time out.
test: $(READY)
	RAY_worker_niceness=0 python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

ui: $(READY)
	mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///$(CURDIR)/mlflow.db

bench: $(READY)
	dvc repro --quiet data.dvc
	python -m tests.benchmarks.bench_pairwise
	python -m tests.benchmarks.bench_training_image

lint: $(READY)
	ruff check .
	ruff format --check .
	codespell

lock: $(READY)
	uv pip compile requirements.in -o requirements.txt --universal --python-version 3.11 --quiet
