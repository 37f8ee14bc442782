"""A driver is known by host, process id and time of birth."""

import os
import subprocess
import sys

from experiments.tracking.driver import has_died, this_driver


def test_this_process_lives() -> None:
    assert not has_died(this_driver())


def test_a_process_that_ended_has_died() -> None:
    code = "from experiments.tracking.driver import this_driver; print(this_driver())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other != this_driver()
    assert has_died(other)


def test_an_id_that_was_given_again_is_another_process() -> None:
    host, process_id, born = this_driver().split()
    assert process_id == str(os.getpid())
    assert has_died(f"{host} {process_id} {float(born) - 60:.2f}")


def test_of_another_host_nothing_is_known() -> None:
    assert not has_died("elsewhere 1 0.00")
    assert not has_died("")
