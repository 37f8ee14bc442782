"""What a trial may ask for: what the nodes lack is refused before anything runs."""

import pytest

from experiments.parallel import placement
from experiments.parallel.placement import check_resources
from experiments.params import Resources


def test_more_than_any_node_has_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(placement.ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    check_resources(Resources(cpus_per_trial=4))
    with pytest.raises(ValueError, match=r"resources ask for 0\.5 GPU per trial, but the largest node has 0"):
        check_resources(Resources(gpus_per_trial=0.5))
    node = {"Alive": True, "Resources": {"CPU": 4.0, "memory": 10.5 * 2**30}}
    monkeypatch.setattr(placement.ray, "nodes", lambda: [node])
    check_resources(Resources(memory_per_trial_gb=10))
    with pytest.raises(ValueError, match=r"11 GB of memory per trial, but the largest node has 10\.5"):
        check_resources(Resources(memory_per_trial_gb=11))
