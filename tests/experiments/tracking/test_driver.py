"""A driver lives as long as its lock, whatever its host is called and whatever its process id is."""

import subprocess
import sys
from pathlib import Path

from experiments.tracking.driver import Driver, has_died

START = "import sys; from pathlib import Path; from experiments.tracking.driver import Driver; "
OTHER = START + "driver = Driver(Path(sys.argv[1])); print(driver.name, flush=True); sys.stdin.read()"


def test_a_driver_lives_until_it_ends(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    assert not has_died(driver.name, tmp_path)
    driver.close()
    assert has_died(driver.name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_has_died(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        name = process.stdout.readline().strip()
        assert f", process {process.pid}" in name
        assert not has_died(name, tmp_path)
        process.kill()
    assert has_died(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_drivers_of_one_process_are_told_apart(tmp_path: Path) -> None:
    first, second = Driver(tmp_path), Driver(tmp_path)
    first.close()
    assert has_died(first.name, tmp_path)
    assert not has_died(second.name, tmp_path)
    second.close()


def test_names_of_earlier_versions_are_of_drivers_that_ended(tmp_path: Path) -> None:
    for name in ("", "host 12 1700000000.00", "../../mlflow.db", "0123456789abcdef on a host, process 1"):
        assert has_died(name, tmp_path / "drivers")
