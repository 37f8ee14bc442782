"""The files that start a cluster say what their readers take: Ray's launcher, Slurm's shell, KubeRay."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

from experiments.params import Resources

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "experiments" / "cluster"
AWS, SLURM, KUBERAY = (FOLDER / name for name in ("aws.yaml", "slurm.sh", "kuberay.yaml"))
RAY_SCHEMA = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"


@pytest.mark.parametrize("path", [AWS, SLURM, KUBERAY], ids=lambda path: path.name)
def test_each_begins_with_some_ten_lines_that_explain_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    start = 1 if lines[0].startswith("#!") else 0
    comment = [line for line in lines[start:15] if line.startswith("#") and not line.startswith("#SBATCH")]
    assert 9 <= len(comment) <= 14
    assert "experiments/cluster/" + path.name in "".join(comment)


def test_the_file_for_ray_up_is_valid_and_its_workers_fit_what_it_advises() -> None:
    content = yaml.safe_load(AWS.read_text())
    jsonschema.validate(content, json.loads(RAY_SCHEMA.read_text()))
    types = content["available_node_types"]
    assert content["head_node_type"] in types
    advised = re.search(r"resources: (\{.+?\})\.", AWS.read_text())
    resources = Resources.model_validate(yaml.safe_load(advised[1]))
    worker = types["worker"]["resources"]
    assert worker["CPU"] >= resources.cpus_per_trial
    assert worker["GPU"] >= resources.gpus_per_trial
    assert content["max_workers"] >= types["worker"]["max_workers"] >= types["worker"]["min_workers"] >= 1
    assert types["head"]["resources"] == {"CPU": 0}
    assert all((ROOT / path).exists() for path in content["file_mounts"].values())


def test_the_schema_of_ray_refuses_a_wrong_key() -> None:
    content = yaml.safe_load(AWS.read_text()) | {"head_type": "head"}
    with pytest.raises(jsonschema.ValidationError, match="head_type"):
        jsonschema.validate(content, json.loads(RAY_SCHEMA.read_text()))


STUBS = """
srun() {{ echo "srun $*" >> {log}; sleep 30; }}
scontrol() {{ echo node1; echo node2; echo node3; }}
ray() {{ echo "ray $*" >> {log}; }}
python() {{
  if [ "$1" = -c ]; then echo 0123; return; fi
  exec "{python}" -c '
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *of: (time.sleep(0.3), sys.exit(143)))
print("driver", os.environ["RAY_ADDRESS"], *sys.argv[1:], file=open("{log}", "a"), flush=True)
time.sleep(float(os.environ["DRIVER_SECONDS"]))
sys.exit(int(os.environ["DRIVER_STATUS"]))' "$@"
}}
export -f srun scontrol ray python
"""


@pytest.mark.parametrize(("terminated", "status"), [(False, 1), (True, 143)])
def test_the_slurm_script_starts_all_nodes_and_ends_as_the_sweep(tmp_path: Path, terminated: bool, status: int) -> None:
    """Run with stand-ins for Slurm, Ray and the sweep, which saves its trials for a while after SIGTERM."""
    log = tmp_path / "log"
    stubs = tmp_path / "stubs.sh"
    stubs.write_text(STUBS.format(log=log, python=sys.executable))
    given = {"SLURM_JOB_ID": "123", "SLURM_JOB_NUM_NODES": "3", "SLURM_JOB_NODELIST": "node[1-3]"}
    given |= {"SLURM_CPUS_PER_TASK": "8", "BASH_ENV": str(stubs)}
    given |= {"DRIVER_SECONDS": "30" if terminated else "0", "DRIVER_STATUS": "1"}
    assert subprocess.run(["bash", "-n", SLURM], check=True).returncode == 0
    process = subprocess.Popen(
        ["bash", SLURM, "loss_terms"], cwd=tmp_path, env=os.environ | given, start_new_session=True
    )
    try:
        if terminated:
            while "driver" not in (log.read_text() if log.exists() else ""):
                time.sleep(0.05)
            time.sleep(0.3)  # until it has its handler
            process.terminate()
        assert process.wait(30) == status
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    said = log.read_text()
    assert "srun --nodes=1 --ntasks=1 --nodelist=node1 ray start --head --port=20123 --num-cpus=8 --block" in said
    assert "srun --nodes=2 --ntasks=2 --exclude=node1 ray start --address=node1:20123 --num-cpus=8 --block" in said
    assert "driver node1:20123 -m experiments.run loss_terms" in said


def test_the_kuberay_job_has_the_keys_of_its_kind_and_the_ray_of_this_project() -> None:
    content = yaml.safe_load(KUBERAY.read_text())
    assert (content["apiVersion"], content["kind"]) == ("ray.io/v1", "RayJob")
    spec = content["spec"]
    assert spec.keys() == {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
    cluster = spec["rayClusterSpec"]
    assert cluster["rayVersion"] == version("ray")
    (workers,) = cluster["workerGroupSpecs"]
    assert workers.keys() == {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert {"name", "image", "resources"} <= container.keys()
    head = cluster["headGroupSpec"]["template"]["spec"]
    mounted = {mount["name"] for mount in head["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in head["volumes"]}
    assert head["containers"][0]["volumeMounts"][0]["mountPath"] in spec["entrypoint"]
