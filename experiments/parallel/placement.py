"""What Ray reserves for a trial on one node, which limits how many run at once."""

import ray

from experiments.memory import GIGABYTE
from experiments.params import Resources


def asked_per_trial(resources: Resources) -> dict[str, float]:
    """CPUs, GPUs and memory (bytes) of a trial. Ray shows its process the GPUs that it has, and no others."""
    memory = {"memory": resources.memory_per_trial_gb * GIGABYTE} if resources.memory_per_trial_gb else {}
    return {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial, **memory}


def check_resources(resources: Resources) -> None:
    """Refuse what no node of the cluster has.

    Raises:
        ValueError: names what is asked for and what the largest node has.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    names = {"cpu": ("CPU", 1, "CPU"), "gpu": ("GPU", 1, "GPU"), "memory": ("memory", GIGABYTE, "GB of memory")}
    for kind, asked in asked_per_trial(resources).items():
        name, unit, words = names[kind]
        most = max((node.get(name, 0) for node in nodes), default=0)
        if asked > most:
            raise ValueError(
                f"params: resources ask for {asked / unit:g} {words} per trial, but the largest node has "
                f"{most / unit:.3g}; ask for less, or join a larger machine"
            )
