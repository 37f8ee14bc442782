"""Studies run by the command's own function, in an empty folder, with a stand-in for MLflow."""

import argparse
import csv
from pathlib import Path

import pytest

from experiments import conduct as sweep_module
from experiments.params import Params, Resources
from experiments.run_studies import run_studies
from experiments.study import Study

FLAGS = {"fresh": False, "allow_holes": False, "in_process": True, "train_only": False}


class Silence:
    """Stands for MLflow where a test is not about it."""

    problem = ""

    def __init__(self, studies: list, *arguments: object) -> None:
        self.jobs = {study.name: jobs for study, jobs in studies}

    def run_ids(self, study: str) -> dict[str, str]:
        return {job.key: f"run of {job.key}" for job in self.jobs[study]}

    def __getattr__(self, name: str):
        return lambda *arguments, **named: None


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    return tmp_path


def params(**resources: float) -> Params:
    return Params(set="mine", recipe="shapes", studies=("pair",), root=".", resources=Resources(**resources))


def run(*studies: Study, **flags: bool) -> int:
    return run_studies(studies, params(), argparse.Namespace(**FLAGS | flags))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))
