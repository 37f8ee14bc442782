"""Before a sweep on a cluster: one look at each node on which a trial may run, so that a bad one is named at once.

A node that joins later is looked at before its first trial.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from core.compute.failure import describe
from experiments.code_digest import ROOT
from experiments.parallel.nodes.cluster import Cluster
from experiments.parallel.nodes.data import DATA_URI
from experiments.parallel.placement import fitting_nodes
from experiments.params import Resources
from experiments.provenance import Provenance, current_code, package_versions
from experiments.trial import device_name

LOOK_SECONDS = 120.0  # until a node that does not answer is given up; a process with torch starts in 5 to 60


@dataclass(frozen=True)
class Sight:
    """What a node says of itself; `problem` is empty if trials can run there."""

    problem: str = ""
    shares_store: bool = False
    device: str = ""


@ray.remote(num_cpus=0, max_retries=0)
def look(cluster: Cluster, made_from: Provenance, device: str) -> Sight:
    """Runs on the node, before the sweep."""
    return sight_of_this_node(cluster, made_from, device)


def check_late_node(cluster: Cluster, made_from: Provenance, device: str) -> None:
    """Look at this node before its first trial, if it joined the cluster after the look at the others.

    Raises:
        OSError: if trials would fail here; says why.
    """
    if not cluster.knows_this_node():
        problem = sight_of_this_node(cluster, made_from, device).problem
        if problem:
            raise OSError(f"it joined after the sweep had begun and cannot run trials: {problem}; or end Ray there")


def sight_of_this_node(cluster: Cluster, made_from: Provenance, device: str) -> Sight:
    """Can it import the code, is that the driver's, can it write where the driver reads?"""
    try:
        if current_code() != made_from.code:
            return Sight(_other_code(made_from.versions, package_versions()))
        return Sight("", cluster.shares_store(), device_name(device) if device == "cpu" else "")
    except OSError as error:
        return Sight(f"it sees the store and cannot write there: {describe(error)}; let it write, or unmount it there")
    except Exception as error:
        return Sight(f"{last_line(error)}; install requirements.txt there, with the same Python")


@ray.remote(num_cpus=0, max_retries=0)
def lay_out_data(cluster: Cluster) -> dict[str, Any]:
    """Runs on the node: its folder for each data set, by digest, or under "problem" why there is none."""
    found: dict[str, Any] = {}
    for digest, needed in cluster.data.items():
        try:
            found[digest] = cluster.data_folder(digest)
        except Exception as error:
            way_out = f"put it at {cluster.folder / needed.root} there, or where {DATA_URI} says"
            return {"problem": f"no data {needed.root}: {describe(error) or last_line(error)}; {way_out}"}
    return found


def look_around(
    cluster: Cluster, made_from: Provenance, resources: Resources, device: str
) -> tuple[dict[tuple[str, str], Path], str]:
    """The folder below which each node has the data, by node and digest, and a sentence on what was found.

    Raises:
        ValueError: names each node on which trials would fail, the reason and the way out.
    """
    nodes = {node["NodeID"]: node for node in fitting_nodes(resources)}
    sights = _ask(nodes, lambda on: look.options(scheduling_strategy=on).remote(cluster, made_from, device))
    _refuse({node: sight if isinstance(sight, str) else sight.problem for node, sight in sights.items()}, nodes)
    folders = _ask(nodes, lambda on: lay_out_data.options(scheduling_strategy=on).remote(cluster), seconds=None)
    _refuse({node: at if isinstance(at, str) else at.get("problem", "") for node, at in folders.items()}, nodes)
    found = {(node, digest): folder for node, at in folders.items() for digest, folder in at.items()}
    copies = sum(any(folder != cluster.folder for folder in at.values()) for at in folders.values())
    alone = sum(not sight.shares_store for sight in sights.values())
    text = f"nodes for trials: {len(nodes)}; {len(nodes) - alone} share the store, {alone} send their trials"
    text += f"; with a copy of the data: {copies}" if copies else ""
    kinds = sorted({sight.device for sight in sights.values() if sight.device})
    if len(kinds) > 1:
        text += f"; their CPUs differ ({', '.join(kinds)}), and so will the last digits of results"
    return found, text


def on_node(identity: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(identity, soft=False)


def _other_code(ours: dict[str, str], theirs: dict[str, str]) -> str:
    different = [f"{name} {theirs[name]} there, {ours[name]} here" for name in ours if ours[name] != theirs[name]]
    if different:
        return f"its packages differ ({'; '.join(different)}); install requirements.txt there"
    return f"it imports other code, from {ROOT}; take that folder out of PYTHONPATH there"


def _ask(nodes: dict[str, dict], start: Any, seconds: float | None = LOOK_SECONDS) -> dict[str, Any]:
    """The answer of each node; a text says why there is none."""
    asked = {start(on_node(node)): node for node in nodes}
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
    answers: dict[str, Any] = {}
    for reference, node in asked.items():
        if reference not in ready:
            answers[node] = f"no answer after {seconds:g} s; see `ray status`"
            continue
        try:
            answers[node] = ray.get(reference)
        except Exception as error:  # it cannot unpack the code, import this file, or has died
            answers[node] = f"{last_line(error)}; install requirements.txt there"
    return answers


def last_line(error: Exception) -> str:
    """The end of Ray's text, which has the error of the other process; the type where there is no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()


def _refuse(problems: dict[str, str], nodes: dict[str, dict]) -> None:
    bad = [
        f"node {nodes[node]['NodeManagerAddress']} (id {node[:8]}): {problem}"
        for node, problem in problems.items()
        if problem
    ]
    if bad:
        raise ValueError(f"{len(bad)} of {len(nodes)} nodes cannot run trials: {'; '.join(bad)}; or end Ray there")
