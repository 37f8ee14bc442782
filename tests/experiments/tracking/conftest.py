"""An MLflow database without runs, made once: MLflow takes seconds to make its tables."""

from pathlib import Path

import pytest

from experiments.tracking.database import prepare


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    prepare(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    return path
