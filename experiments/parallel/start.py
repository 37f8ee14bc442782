"""Ray's start: on this machine for one sweep, or as part of a cluster."""

import logging
import os

import ray

from experiments.memory import GIGABYTE
from experiments.params import Resources


def start_ray(resources: Resources) -> None:
    """Join the cluster at `RAY_ADDRESS`, or start Ray on this machine for the duration of the sweep.

    Ray's processes inherit that SIGTERM is held back: one that is sent to all processes of a job is the driver's to
    answer. If they died of it, Ray would keep the driver waiting for a minute, and then end it.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the records have the curves
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # the sweep has its own
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the records have the tracebacks
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**common)
        return
    num_cpus = resources.parallel_trials * resources.cpus_per_trial
    ray.init(num_cpus=num_cpus, include_dashboard=False, **common)


def asked_per_trial(resources: Resources) -> dict[str, float]:
    """Resources that Ray reserves per trial, which limit how many run at once; memory in bytes."""
    memory = {"memory": resources.memory_per_trial_gb * GIGABYTE} if resources.memory_per_trial_gb else {}
    return {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial, **memory}


def check_resources(resources: Resources) -> None:
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
