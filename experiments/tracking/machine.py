"""The machine that drives a sweep, watched in an experiment of its own: among results its numbers would come first."""

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from experiments.tracking.content import SOURCE
from experiments.tracking.server import Server

EXPERIMENT = "machine"
DESCRIPTION = "CPU, memory, network and, with nvidia-ml-py, GPU of the machine that drove each sweep."
SAMPLING_SECONDS = 5.0
SWEEP = "sweep_run"  # tag: the run of the sweep


class Machine:
    """Logs CPU, memory, network and GPU of this machine while trials of one sweep run; continued by a later one.

    Raises:
        UNREACHABLE: if the server does not respond.
    """

    def __init__(self, server: Server, name: str, sweep_run: str) -> None:
        self._client = server.client
        experiment = server.find_experiment(EXPERIMENT, DESCRIPTION)
        with server.project.lock():
            run = next(server.runs([experiment], f"tags.{SWEEP} = '{sweep_run}'"), None)
            if run is None:
                tags = {SWEEP: sweep_run} | server.tags() | SOURCE
                run = self._client.create_run(experiment, tags=tags, run_name=name)
            else:
                self._client.update_run(run.info.run_id, status="RUNNING")
                for tag, value in server.tags().items():
                    self._client.set_tag(run.info.run_id, tag, value)
        self._id = run.info.run_id
        self._monitor = SystemMetricsMonitor(self._id, SAMPLING_SECONDS, resume_logging=True, tracking_uri=server.uri)
        self._monitor.start()

    def finish(self) -> None:
        self._monitor.finish()
        self._client.set_terminated(self._id, "FINISHED")
