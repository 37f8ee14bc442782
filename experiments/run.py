"""Run studies: `python -m experiments.run loss_terms`.

Trials that are finished in the store are not run again. A stopped trial resumes from its checkpoint, so the same
command resumes an interrupted sweep. `RAY_ADDRESS` joins a cluster (experiments/cluster).
DVC's stage `sweep` runs `--all --train-only`: it fills the store, from which `experiments.collect` writes each study.

Exit status: 0 all trials finished, 1 some failed, 2 wrong input or environment, 130 interrupted (Ctrl-C), 143
terminated (SIGTERM). The running trials then save a checkpoint at the end of their step; a second signal ends them at
once. What MLflow lacks at the end is a warning, which names the command that sends it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.compute.command import leave, run_command
from experiments.code_digest import trial_sources
from experiments.dvc_stage import end_with_dvc
from experiments.params import SETS, load_params
from experiments.planning.plan import TERAFLOPS, print_plan
from experiments.run_studies import run_studies
from experiments.settings import load_studies
from experiments.store import STORE, Store

EDITED = 1  # exit status: what was read for the trials has changed since


def inputs(params: Path) -> dict[Path, bytes]:
    """Current content of the files that decide what runs. DVC hashes them only when the stage ends."""
    folder = Path(__file__).parent
    files = [path for kind in ("studies", "recipes") for path in sorted(folder.glob(f"{kind}/*.yaml"))]
    paths = [params, *sorted((params.parent / SETS).glob("*.yaml")), *files, *trial_sources()]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.run", description="Run the trials of studies.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("studies", nargs="*", default=(), metavar="STUDY", help="studies to run in one sweep")
    which.add_argument("--study", help="name of one file in experiments/studies, without .yaml")
    which.add_argument("--all", action="store_true", help="run all studies of the set in one sweep")
    parser.add_argument("--fresh", action="store_true", help="run every trial again, even if the store has it")
    parser.add_argument("--train-only", action="store_true", help="only train; experiments.collect writes the results")
    parser.add_argument("--allow-holes", action="store_true", help="exit with status 0 even if trials failed")
    parser.add_argument("--in-process", action="store_true", help="run one trial after another, without Ray")
    parser.add_argument("--dry-run", action="store_true", help="only print what the studies cost and what would run")
    of_hours = "sustained TFLOP/s of a device, for the device-hours of a dry run (default: %(default)g, an assumption)"
    parser.add_argument("--teraflops", type=float, default=TERAFLOPS, help=of_hours)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    arguments = parser.parse_args(words)

    def work() -> int:
        end_with_dvc()
        before = {} if arguments.dry_run else inputs(arguments.params)
        params = load_params(arguments.params)
        names = params.studies if arguments.all else arguments.studies or (arguments.study,)
        studies = load_studies(names, params, str(arguments.params))
        if arguments.dry_run:
            workers = params.resources.workers
            print_plan(studies, Store(STORE), teraflops=arguments.teraflops, fresh=arguments.fresh, workers=workers)
            return 0
        status = run_studies(studies, params, arguments)
        after = inputs(arguments.params)
        if edited := [str(path) for path in before | after if before.get(path) != after.get(path)]:
            print(
                f"edited during the run: {', '.join(edited)}: the results are from before the edit, run it again",
                file=sys.stderr,
            )
            return max(status, EDITED)
        return status

    return run_command(work)


if __name__ == "__main__":
    leave(main())
