"""Faults of a sweep: kills, signals, a damaged store, processes that collect at once, places that cannot be written."""

import json
import shutil
import signal
import time

import psutil

from tests.faults.project import SWEEP, SWEEP_IN_PROCESS, Done, Project, Unexpected, flip_bit

COLLECT = ("experiments.collect", "faults")


def _same_results(project: Project, undisturbed: Project) -> None:
    if project.results() != undisturbed.results():
        raise Unexpected("another table than the sweep that nothing happened to")


def _copy_store(project: Project, undisturbed: Project) -> None:
    shutil.copytree(undisturbed.store, project.store)


def _hurt(project: Project, number: int, *, status: int, pattern: str = "") -> Done:
    """Send a signal while two trials run in Ray's workers."""
    running = project.start(SWEEP).until(lambda: len(list(project.store.glob("*/checkpoint.pt"))) == 2)
    time.sleep(0.5)
    running.send(number, to_group=number == signal.SIGINT)
    return running.wait().ended(status, pattern)


def sweep_killed(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """kill -9 of a sweep's driver"""
    done = _hurt(project, signal.SIGKILL, status=-signal.SIGKILL)
    project.run(SWEEP).ended(0)
    _same_results(project, undisturbed)
    return done, "the epochs in flight; resumed, same table"


def sweep_sigterm(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """SIGTERM to a sweep"""
    done = _hurt(project, signal.SIGTERM, status=143)
    if open_runs := _runs(project, "RUNNING"):
        raise Unexpected(f"{len(open_runs)} MLflow runs are still RUNNING")
    project.run(SWEEP).ended(0)
    _same_results(project, undisturbed)
    return done, "the steps in flight; resumed, same table; MLflow runs ended"


def sweep_control_c(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """Ctrl-C in a sweep"""
    done = _hurt(project, signal.SIGINT, status=130)
    project.run(SWEEP).ended(0)
    _same_results(project, undisturbed)
    return done, "the epochs in flight at most; resumed, same table"


def worker_killed(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """kill -9 of a worker of a sweep"""
    running = project.start(SWEEP).until(lambda: len(list(project.store.glob("*/checkpoint.pt"))) == 2)
    children = psutil.Process(running.process.pid).children(recursive=True)
    worker = next(child for child in children if child.name().startswith("ray::Implicit"))
    worker.send_signal(signal.SIGKILL)
    done = running.wait()
    if done.status == 1:  # its trial failed; DVC's next stage tries it again, and so does the same command
        done.ended(1, "died")
        project.run(SWEEP).ended(0)
    _same_results(project, undisturbed)
    return done, "the epoch in flight; tried again, same table"


def _runs(project: Project, status: str) -> list:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{project.folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, f"attributes.status = '{status}'")


def edited_metric(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """an AP in the store is edited to 99"""
    _copy_store(project, undisturbed)
    path = project.store / project.keys()[0] / "record.json"
    content = json.loads(path.read_text())
    content["metrics"]["mask_AP"] = 99.0
    path.write_text(json.dumps(content, indent=1))
    done = project.run(COLLECT).ended(0, "record.json")
    _same_results(project, undisturbed)
    return done, "the trial is run again; same table"


def flipped_bit_in_found(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """a flipped bit in found.json of the store"""
    _copy_store(project, undisturbed)
    flip_bit(project.store / project.keys()[0] / "found.json", 0.5)
    done = project.run(COLLECT).ended(0, "found.json")
    _same_results(project, undisturbed)
    return done, "the trial is run again; same table"


def found_cut_off(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """found.json of the store is cut off"""
    _copy_store(project, undisturbed)
    path = project.store / project.keys()[-1] / "found.json"
    path.write_text(path.read_text()[:5])
    done = project.run(COLLECT).ended(0, "found.json")
    _same_results(project, undisturbed)
    return done, "the trial is run again; same table"


def five_collect_at_once(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """five processes write the results of one study at once, five times"""
    _copy_store(project, undisturbed)
    for _ in range(5):
        running = [project.start(COLLECT) for _ in range(5)]
        done = [each.wait().ended(0) for each in running][-1]
        _same_results(project, undisturbed)
    return done, "nothing"


def two_sweeps_at_once(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """two first sweeps in one folder at once"""
    running = [project.start(SWEEP_IN_PROCESS) for _ in range(2)]
    done = [each.wait().ended(0) for each in running][-1]
    _same_results(project, undisturbed)
    return done, "nothing; same table"


def results_read_only(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """results/ cannot be written"""
    return _collect_into(project, undisturbed, "ro", "read-only")


def results_on_a_full_disk(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """no space for results/"""
    return _collect_into(project, undisturbed, "size=16k", "space")


def _collect_into(project: Project, undisturbed: Project, mounted: str, cause: str) -> tuple[Done, str]:
    """Collect into a results/ that is mounted so, which fails for that cause, and then into a sound one."""
    _copy_store(project, undisturbed)
    results = project.folder / "results"
    results.mkdir()
    done = project.run(COLLECT, shell=f"mount -t tmpfs -o {mounted} tmpfs '{results}'").ended(2, cause)
    project.run(COLLECT).ended(0)
    _same_results(project, undisturbed)
    return done, "nothing; trials are kept"


def store_on_a_full_disk(project: Project, undisturbed: Project) -> tuple[Done, str]:
    """no space for the store"""
    project.store.mkdir()
    shell = f"mount -t tmpfs -o size=300k tmpfs '{project.store}'"
    done = project.run(SWEEP_IN_PROCESS, shell=shell).ended(2, "space")
    project.run(SWEEP_IN_PROCESS).ended(0)
    _same_results(project, undisturbed)
    return done, "the trial in flight"


FAULTS = (
    sweep_killed,
    sweep_sigterm,
    sweep_control_c,
    worker_killed,
    edited_metric,
    flipped_bit_in_found,
    found_cut_off,
    five_collect_at_once,
    two_sweeps_at_once,
    results_read_only,
    results_on_a_full_disk,
    store_on_a_full_disk,
)
