"""What Ray reserves for a trial on one node, which limits how many run at once."""

import ray

from experiments.params import GIGABYTE, Resources

NAMES = {"cpu": ("CPU", 1, "CPU"), "gpu": ("GPU", 1, "GPU"), "memory": ("memory", GIGABYTE, "GB of memory")}


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
    for kind, asked in asked_per_trial(resources).items():
        name, unit, words = NAMES[kind]
        most = max((node.get(name, 0) for node in nodes), default=0)
        if asked > most:
            raise ValueError(
                f"params: resources ask for {asked / unit:g} {words} per trial, but the largest node has "
                f"{most / unit:.3g}; ask for less, or join a larger machine"
            )


def fitting_nodes(resources: Resources) -> list[dict]:
    """Ray's description of each node that is large enough for a trial, if nothing else runs there."""
    asked = {NAMES[kind][0]: amount for kind, amount in asked_per_trial(resources).items()}
    nodes = [node for node in ray.nodes() if node["Alive"]]
    return [node for node in nodes if all(node["Resources"].get(name, 0) >= asked[name] for name in asked)]
