# Main commands: `make repro` rebuilds every study (`dvc repro`), `make test` runs the tests. Both create .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PYTHON
VENV := .venv
READY := $(VENV)/ready

# No telemetry in any command started here.
export PATH := $(CURDIR)/$(VENV)/bin:$(value PATH)
export RAY_USAGE_STATS_ENABLED := 0
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false

.PHONY: help no_git repro report experiments verify test mutants soak fuzz faults gpu ui bench lint lock

help:
	@echo "make repro   set up, then dvc repro: outdated studies, tables, plots, one page, comparison"
	@echo "make report  rebuild tables, plots and results/report.html from existing results"
	@echo "make experiments  dvc exp show, without its columns of file hashes"
	@echo "make verify  rebuild tables and plots of reference/ from its records, check README's numbers; list the differences"
	@echo "make test    run the tests; RUN_SLOW=1 make test includes those that take minutes (kills, a real MLflow server)"
	@echo "make soak    2,000 training steps and 500 predictions: resident memory stays flat"
	@echo "make fuzz    read 28,500 damaged input files of every kind: each is refused by name, or works; a quarter of an hour"
	@echo "make mutants change the code in small ways and list the changes that no test notices"
	@echo "make faults  hurt trainings and sweeps (kills, full disks, damaged files, lost servers) and list what was lost"
	@echo "make gpu     check a GPU: its tests, components against the CPU, speed, loading, a training; results/gpu_check.json"
	@echo "             (OPTIONS='--device cpu --small' runs all of it without one)"
	@echo "make ui      browse the runs in MLflow on http://127.0.0.1:5000; choose 'Model training', then a study"
	@echo "make bench   time losses, a training image, a sweep, and thousands of trials; table and benchmarks.json"
	@echo "make lint    ruff and codespell"
	@echo "make lock    update requirements.txt from requirements.in"

# uv installs the lock file much faster than pip, from the same registry. Bytecode is compiled at installation: if
# PYTHONDONTWRITEBYTECODE is set, as in many containers, each process would compile torch again, some 10 s per trial.
$(READY): requirements.txt
	@"$$PYTHON" -c 'import sys; sys.exit("needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	"$$PYTHON" -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet uv==0.13.9
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python -r requirements.txt
	touch $@

# In a copy without .git DVC must be told so. An archive of a commit says it in .dvc/config.
NO_GIT := $(if $(wildcard .git),,no_git)
no_git: $(READY)
	dvc config --local core.no_scm true

# DVC does the rest: data.dvc -> sweep -> studies -> reports -> page -> compare (dvc.yaml).
repro: $(READY) $(NO_GIT)
	dvc repro

report: $(READY)
	python -m analysis.report --params params.yaml
	if test -e results/edge_purity.csv; then python -m analysis.studies.edge_purity; fi
	python -m analysis.published_tables --params params.yaml
	python -m analysis.robustness --params params.yaml
	python -m analysis.page --params params.yaml
	python -m analysis.headline --params params.yaml

experiments: $(READY)
	dvc exp show --drop '^(analysis|core|data_store|datasets|experiments|reference|requirements|results|store)'

verify: $(READY)
	python -m analysis.report --verify

# At their default niceness, Ray's workers would yield to other test processes until they time out.
test: $(READY)
	RAY_worker_niceness=0 python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

soak: $(READY)
	python -m tests.soak

fuzz: $(READY)
	python -m tests.fuzz --shards 2

mutants: $(READY)
	python -m tests.mutants

faults: $(READY)
	python -m tests.faults

gpu: $(READY)
	python -m tests.gpu_check $(OPTIONS)

ui: $(READY)
	python -m experiments.tracking.database
	mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri "sqlite:///$$PWD/mlflow.db"

bench: $(READY) $(NO_GIT)
	dvc repro --quiet data.dvc
	python -m tests.benchmarks

lint: $(READY)
	ruff check .
	ruff format --check .
	codespell

lock: $(READY)
	uv pip compile requirements.in -o requirements.txt --universal --python-version 3.11 --quiet
