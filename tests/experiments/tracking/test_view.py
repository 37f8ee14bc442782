"""The view holds what MLflow's page of runs writes for its own, and its filter finds the trials of the sweep."""

import json
import shutil
from pathlib import Path

from mlflow.tracking import MlflowClient

from experiments.tracking.database import sqlite_uri
from experiments.tracking.view import arms_view, view_tag


def test_a_view_is_a_named_state_as_mlflow_writes_it() -> None:
    view = json.loads(arms_view("arms, tiny, 1 seed", "p", 5))
    assert (view["name"], view["createdAt"], view["updatedAt"]) == ("arms, tiny, 1 seed", 5, 5)
    state = json.loads(view["state"])
    assert state["selectedColumns"] == ["metrics.`final/mask_AP`", "metrics.`final/mask_AP50`"]
    assert [chart["metricSectionId"] for chart in state["compareRunCharts"]] == [
        section["uuid"] for section in state["compareRunSections"]
    ]
    assert view_tag("tiny, 1 seed") == "mlflow.sharedViewState.tiny--1-seed"


def test_its_filter_finds_the_runs_below_the_sweep(empty_database: Path, tmp_path: Path) -> None:
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    client = MlflowClient(sqlite_uri(tmp_path / "mlflow.db"))
    experiment = client.create_experiment("e", str(tmp_path / "artifacts"))
    parent = client.create_run(experiment).info.run_id
    child = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
    state = json.loads(json.loads(arms_view("n", parent, 5))["state"])
    found = client.search_runs([experiment], state["searchFilter"], order_by=[f"{state['orderByKey']} DESC"])
    assert [run.info.run_id for run in found] == [child]
