"""A project whose study has thousands of trials, nearly all of them finished: `grow` makes it without a training.

As a script, in such a project: `python grown_project.py COUNT` fills its store with what COUNT trials would leave.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = 20
EPOCHS, OBJECTS, PICTURES = 12, 450, 8  # of a trial of the recipe `shapes`
PICTURE_BYTES, DETECTIONS_BYTES = 20_000, 540_000
STUDY = "question: How does a project grow?\nsource: none\nexpectation: none\nvary: {loss.color_threshold: %s}\n"


def build(folder: Path, trials: int, root: Path = ROOT) -> None:
    """Write the project: the code of `root`, the images of `smoke`, and one study of so many trials.

    The trainings are those of the recipe `tiny`, a second or two.
    """
    for name in ("core", "experiments", "analysis"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    seeds = math.gcd(trials, SEEDS)
    arms = trials // seeds
    thresholds = [round(0.9 * (place + 1) / arms, 6) for place in range(arms)]
    (folder / "experiments" / "studies" / "grown.yaml").write_text(STUDY % json.dumps(thresholds))
    (folder / "experiments" / "sets" / "grown.yaml").write_text("recipe: tiny\nstudies: [grown]\n")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "grown").symlink_to(ROOT / "datasets" / "smoke")
    (folder / "params.yaml").write_text(json.dumps({"set": "grown", "seeds": list(range(seeds))}))


def grow(folder: Path, trials: int, root: Path = ROOT) -> None:
    """Build the project in an empty folder; all of its trials but the last are finished."""
    build(folder, trials, root)
    command = [sys.executable, __file__, str(trials - 1)]
    subprocess.run(command, cwd=folder, env=os.environ | project_environment(folder), check=True)


def project_environment(folder: Path) -> dict[str, str]:
    """Where Python finds the code of the project, for `os.environ`."""
    return {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def fill_store(count: int) -> None:
    """Write the first `count` trials of the project in the current folder to its store, with made-up numbers."""
    from core.evaluation.kept_detections import DETECTIONS
    from experiments.jobs import list_jobs
    from experiments.params import load_params
    from experiments.provenance import provenance
    from experiments.settings import load_studies
    from experiments.store import STORE, Store
    from experiments.trial import describe_trial

    params = load_params(Path("params.yaml"))
    (study,) = load_studies(params.studies, params, "params.yaml")
    store, made_from = Store(STORE), provenance()
    picture = store.root / "picture.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(bytes(PICTURE_BYTES))
    detections = store.root / DETECTIONS
    detections.write_bytes(bytes(DETECTIONS_BYTES))
    found = json.dumps({str(place): place % 100 / 100 for place in range(OBJECTS)}, indent=1)
    for number, job in enumerate(list_jobs(study, made_from)[:count]):
        folder = store.folder(job.key)
        (folder / "pictures").mkdir(parents=True)
        names = [f"{place:012}.png" for place in range(PICTURES)]
        for name in names:
            os.link(picture, folder / "pictures" / name)
        (folder / "found.json").write_text(found)
        os.link(detections, folder / DETECTIONS)
        described = describe_trial(job.trial, key=job.key, data_digest=job.data_digest, provenance=made_from)
        store.write(described.changed(**results(number), pictures=names))
    picture.unlink()
    detections.unlink()


def results(number: int) -> Mapping[str, object]:
    """Made-up results of a trial of twelve epochs, with as many numbers as a real one has."""
    terms = ("class", "box", "centerness", "projection", "pairwise")
    metrics = ("mask_AP", "mask_AP50", "mask_AP75", "mask_APs", "mask_APm", "mask_APl", "box_AP", "mask_to_box_area")
    value = 0.1 + number % 997 / 1000
    losses = {f"loss/{term}{end}": value for term in terms for end in ("", "_unweighted")}
    at_end = dict.fromkeys(metrics, 100 * value)
    curves = [
        {"epoch": epoch, "epochs": EPOCHS, "seconds": epoch + value, "learning_rate": 1e-3, "loss/total": value}
        | losses
        | (at_end if epoch == EPOCHS else {})
        for epoch in range(1, EPOCHS + 1)
    ]
    per_class = dict.fromkeys(("circle", "rectangle", "triangle", "star"), 100 * value)
    return {"metrics": at_end, "per_class": per_class, "curves": curves, "seconds": EPOCHS + value, "threads": 1}


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).parent]
    fill_store(int(sys.argv[1]))
