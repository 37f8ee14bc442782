"""The length of a training in steps and epochs, and what happens when."""

from dataclasses import dataclass

from core.config import Config
from core.training.effective_batch import effective_batch, scale_to_batch, steps_per_epoch, total_steps
from core.training.epoch import boxes_only_epochs


@dataclass(frozen=True)
class Schedule:
    """Steps and epochs of the training of a config on so many images, by so many workers."""

    config: Config  # scaled to the effective batch
    num_images: int  # of an epoch
    num_workers: int

    @classmethod
    def of(cls, config: Config, *, num_images: int, num_workers: int) -> "Schedule":
        """The schedule of a config as it is stated; it is scaled to the effective batch (`scale_to_batch`)."""
        scaled = config.model_copy(update={"training": scale_to_batch(config.training, num_workers)})
        return cls(scaled, num_images, num_workers)

    @property
    def images_per_step(self) -> int:
        return effective_batch(self.config.training, self.num_workers)

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(self.num_images, self.images_per_step)

    @property
    def steps(self) -> int:
        return total_steps(self.config.training, self.num_images, self.num_workers)

    @property
    def epochs(self) -> int:
        """Number of epochs; the last one may be cut short."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def boxes_only_epochs(self) -> int:
        """Number of epochs, from the first, that train on boxes only (`boxes_only_epochs`)."""
        return boxes_only_epochs(self.config.supervision.boxes_first, self.epochs)

    @property
    def pairwise_warmup_steps(self) -> int:
        return round(self.config.loss.pairwise_warmup * self.steps)

    def steps_until(self, epoch: int) -> int:
        """Number of steps in the first `epoch` epochs."""
        return min(epoch * self.steps_per_epoch, self.steps)

    def evaluates(self, epoch: int) -> bool:
        """Whether the epoch, from 1, ends with an evaluation."""
        every = self.config.training.evaluate_every
        return epoch == self.epochs or bool(every and epoch % every == 0)
