"""Mutated files of settings: params, sets, recipes, studies and measurements, read by the sweep and by the analysis."""

import json
import math
import shutil
from pathlib import Path
from random import Random

import torch
import yaml

from analysis.study import load_study as describe
from core.config import Config
from core.config.dotted import leaves, nested
from core.config.file import build_config
from core.config.recipe import RECIPES, load_recipe
from core.datasets.transforms import resized_shape
from core.model.build import build_model
from core.neighborhood import Neighborhood
from core.record import trial_key
from core.training.effective_batch import describe_schedule, scale_to_batch, total_steps
from core.training.optimizer import learning_rate
from experiments.edge_purity import MEASUREMENT, Measurement, load_measurement
from experiments.params import SETS, load_params
from experiments.settings import load_studies
from experiments.study import STUDIES, Study, load_study
from experiments.tracking.content import describe_study
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import as_json, mutated_bytes, mutated_tree
from tests.fuzz.snippets import SNIPPETS

OWN = {  # a project's files that differ from ours
    "params.yaml": "set: mine\nseeds: [0, 1]\nsettings: {training.epochs: 2}\nallow_holes: false\n"
    "resources: {parallel_trials: 1, gpus_per_trial: 0.5}\n",
    f"{SETS}/mine.yaml": "recipe: shapes\nstudies: [loss_terms]\n",
    "recipes/own.yaml": "extends: tiny\nloss.dice: 2\ntraining: {learning_rate: 1.0e-3, steps: 5}\n",
    "studies/grid.yaml": """question: q
source: s
expectation: weak,color_threshold=0.1 < strong,color_threshold=0.1
reference_arm: weak,color_threshold=0.1
view: color_threshold
x: loss.color_threshold
labels: {weak: feeble, color_threshold=0.1: low}
settings: {supervision.mask_ratio: 0}
arms: {weak: {}, strong: {loss: {projection: 2}}}
vary: {loss.color_threshold: [0.1, 0.3]}
""",
}
RECIPE_CHAIN = ("recipes/own.yaml", "recipes/tiny.yaml", "recipes/shapes.yaml")
BASE = {"name": "base", "training": {"steps": 5}}
SEEDS = (0, 1)
LONGEST_FILE_NAME = 255


class Settings(Kind):
    name = "settings"
    count = 4_000

    def __init__(self, folder: Path) -> None:
        studies = sorted(STUDIES.glob("*.yaml"))
        self.texts = {
            **OWN,
            **{f"recipes/{name}.yaml": (RECIPES / f"{name}.yaml").read_text() for name in ("tiny", "shapes")},
            **{f"studies/{path.name}": path.read_text() for path in studies},
            f"measurements/{MEASUREMENT.name}": MEASUREMENT.read_text(),
        }
        self.file = ""

    def write(self, draw: Random, folder: Path) -> Path:
        file = draw.choice([*self.texts, *OWN, *OWN])
        return self.put(file, mutated_yaml(draw, self.texts[file]), folder)

    def put(self, file: str, content: bytes, folder: Path) -> Path:
        """Write a project whose one file has this content; it is the next to be read."""
        self.file = file
        project = folder / "project"
        shutil.rmtree(project, ignore_errors=True)
        for name in (file, *RECIPE_CHAIN, f"{SETS}/mine.yaml"):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(self.texts[name])
        (project / file).write_bytes(content)
        return project / file

    def read(self, path: Path) -> "list[Config] | Study | Measurement":
        kind = self.file.split("/")[0].removesuffix(".yaml")
        if kind in ("params", "experiments"):
            place = path if kind == "params" else path.parents[2] / "params.yaml"
            if kind != "params":
                place.write_text(OWN["params.yaml"].replace("settings: {training.epochs: 2}\n", ""))
            params = load_params(place)
            studies = load_studies(params.studies, params, str(place))
            return [trial.config for study in studies for trial in study.trials]
        if kind == "recipes":
            return [build_config(load_recipe("own", path.parent), str(path))]
        if kind == "measurements":
            describe(path, [])
            return load_measurement(path)
        describe(path, ["weak"])  # before the sweep's reader: the analysis alone must refuse it in words, too
        return load_study(path.stem, BASE, SEEDS, path.parent)

    def use(self, content: "list[Config] | Study | Measurement") -> None:
        if isinstance(content, Measurement):
            json.dumps(content.thresholds, allow_nan=False)
            return
        if isinstance(content, Study):
            use_study(content)
            content = list({trial.arm: trial.config for trial in content.trials}.values())
        for config in content[:3]:
            use_config(config)


def mutated_yaml(draw: Random, text: str) -> bytes:
    match draw.choice(("tree", "tree", "value", "value", "line", "bytes", "encoding")):
        case "tree":
            return as_json(mutated_tree(draw, yaml.safe_load(text)))
        case "value":
            lines = text.splitlines()
            for _ in range(draw.choice((1, 1, 2))):
                at = draw.choice([i for i, line in enumerate(lines) if ":" in line])
                key = lines[at].split(":")[0]
                lines[at] = f"{key}: {draw.choice(SNIPPETS)}"
            return "\n".join(lines).encode(errors="surrogatepass")
        case "line":
            lines = text.splitlines()
            at = draw.randrange(len(lines))
            line = lines[at]
            line = draw.choice((line, "", f"  {line}", line.strip(), f"\t{line}", draw.choice(SNIPPETS)))
            lines[at : at + draw.randint(0, 1)] = [line]
            return "\n".join(lines).encode(errors="surrogatepass")
        case "encoding":
            encoding = draw.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"))
            return text.replace("q", "é", 1).encode(encoding, errors="replace")
        case _:
            return mutated_bytes(draw, text.encode())


def use_study(study: Study) -> None:
    """What a sweep and a report do with a study before and after its trainings."""
    describe_study(study).encode()
    for trial in study.trials:
        if len(trial.name.encode()) > LONGEST_FILE_NAME or "/" in trial.name:
            raise OSError(f"no file name: {trial.name}")
        json.dumps(trial.varied, allow_nan=False)


def use_config(config: Config) -> None:
    """What a training derives from its settings; the network is built without memory."""
    settings = config.model_dump(mode="json")
    json.dumps(settings, allow_nan=False).encode()
    if build_config(nested(leaves(settings)), "again") != config:
        raise ValueError("a config differs after writing and reading it")
    trial_key(config, 0, data_digest="0", code="0")
    training = scale_to_batch(config.training, 2)
    steps = total_steps(training, 100, 2)
    describe_schedule(training, 2, steps, round(config.loss.pairwise_warmup * steps))
    if not all(math.isfinite(learning_rate(step, steps, training)) for step in {0, steps // 2, steps - 1}):
        raise FloatingPointError("a learning rate is not finite")
    for short_side in (*config.data.short_sides, config.data.val_short_side):
        resized_shape(480, 640, short_side, config.data.long_side_max)
    Neighborhood(config.loss.neighborhood_size, config.loss.neighborhood_dilation)
    backbone = config.model.backbone.model_copy(update={"weights": None})
    with torch.device("meta"):
        build_model(config.model.model_copy(update={"backbone": backbone}), 3)
