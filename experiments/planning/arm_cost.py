"""What the training of one arm takes: its schedule, the images it sees, and the size of its network."""

from hashlib import sha256
from pathlib import Path

from core.config import Config, Frozen
from core.training.effective_batch import describe_schedule, effective_batch, scale_to_batch, total_steps
from experiments.planning.data_facts import KnownData
from experiments.planning.known_sizes import COCO_CLASSES, KNOWN, size_of
from experiments.planning.remembered import Remembered

SOURCES = [Path(__file__), *(Path(__file__).with_name(f"{name}.py") for name in ("known_sizes", "network_size"))]


class ArmCost(Frozen):
    schedule: str  # the first line that a training prints
    samples: int | None  # images that a training sees; None if missing data leaves that open
    trainings: int  # 2 if it trains a teacher first
    num_classes: int
    parameters: int
    forward_flops: int | None  # of one image of `height` x `width` px; see `NetworkSize`
    height: int
    width: int

    @property
    def images_seen(self) -> int | None:
        """By all its trainings; None if unknown."""
        return None if self.samples is None else self.trainings * self.samples


class ArmCosts:
    """The costs of arms, each found out once; `code` is the digest of the code and the packages that train them."""

    def __init__(self, data: KnownData, remembered: Remembered, code: str, workers: int = 1) -> None:
        self._data, self._remembered, self._workers = data, remembered, workers
        self._code = [code, *(sha256(path.read_bytes()).hexdigest() for path in SOURCES)]
        self._known = Remembered(KNOWN)

    def of(self, config: Config) -> ArmCost:
        try:
            facts = self._data.facts(config.data)
            num_classes, num_images = facts.num_classes, facts.num_images
        except ValueError:
            num_classes, num_images = COCO_CLASSES, None
        depends_on = [config.model_dump(mode="json"), num_classes, num_images, self._workers, self._code]
        return self._remembered.fact(ArmCost, depends_on, lambda: self._find_out(config, num_classes, num_images))

    def _find_out(self, config: Config, num_classes: int, num_images: int | None) -> ArmCost:
        size = size_of(config, num_classes, self._known)
        line, samples = schedule(config, num_images, self._workers)
        return ArmCost(
            schedule=line,
            samples=samples,
            trainings=2 if config.supervision.pseudo_masks == "teacher" else 1,
            num_classes=num_classes,
            parameters=size.parameters,
            forward_flops=size.forward_flops,
            height=size.height,
            width=size.width,
        )


def schedule(config: Config, num_images: int | None, workers: int = 1) -> tuple[str, int | None]:
    """The first line that a training prints, and how many samples it sees; None if missing data leaves that open."""
    training = scale_to_batch(config.training, workers)
    if training.steps is None and num_images is None:
        return f"{training.epochs} epochs: no data to count their steps", None
    steps = total_steps(training, num_images or 0, workers)
    line = describe_schedule(training, workers, steps, round(config.loss.pairwise_warmup * steps))
    return line, steps * effective_batch(training, workers)
