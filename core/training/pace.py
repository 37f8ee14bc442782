"""How fast a training goes, and how long the rest of it takes."""

from dataclasses import dataclass

RECENT = 5  # epochs that count: the first one still decodes images, and other programs come and go
# An image of an evaluation takes so many times as long as one in training, until an evaluation was timed: 2 for the
# recipe `smoke`, 1.3 for `own` on 200 photos, on one CPU core.
EVALUATION_TIME = 1.5


@dataclass(frozen=True)
class EpochTime:
    """What this process did of an epoch, and the seconds that it took."""

    images: int  # trained on, of all workers; 0 if the steps were done before a resume
    training: float
    evaluation: float | None  # None: the epoch ended without


class Pace:
    """The pace of a training in this process; a resumed training starts to count anew, as it may run elsewhere."""

    def __init__(self, num_validation_images: int) -> None:
        self.num_validation_images = num_validation_images
        self.trained: list[EpochTime] = []
        self.evaluation: float | None = None  # seconds of the last one

    def add(self, time: EpochTime) -> None:
        if time.images:
            self.trained = [*self.trained, time][-RECENT:]
        if time.evaluation is not None:
            self.evaluation = time.evaluation

    def seconds_left(self, images: int, evaluations: int) -> float | None:
        """Time for so many images in training and so many evaluations; None before the first trained epoch."""
        if not self.trained:
            return None
        per_image = sum(time.training for time in self.trained) / sum(time.images for time in self.trained)
        evaluation = self.evaluation
        if evaluation is None:
            evaluation = EVALUATION_TIME * per_image * self.num_validation_images
        return images * per_image + evaluations * evaluation


def duration(seconds: float | int) -> str:
    """`40 s`, `7 min`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
