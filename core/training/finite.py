"""Stop a training whose loss is not finite: on a CPU before the backward pass, on a GPU a step later.

To know whether a number is finite, the host has to wait until the GPU has computed it, and the GPU then has to wait for
the host to queue the rest of the step. So the terms are copied to the host as part of the GPU's work and are read in
the next step. Until then the weights may be broken, but nothing writes them: `finish` comes before any checkpoint.
"""

from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from core.compute.interrupt import Stopped
from core.losses.criterion import Losses


@dataclass(frozen=True)
class _Waiting:
    """The terms of a batch on their way to the host."""

    step: int
    image_ids: list[int]
    names: list[str]
    values: Tensor  # of the terms, then their sum
    arrived: torch.cuda.Event | None  # None: they are there


class FiniteChecks:
    """Whether the losses of a training are finite; `later` reads them in the next step, see above.

    At the end of a `with` block it does what `finish` does, also if `Stopped` ends the block; not if another error
    does.
    """

    def __init__(self, *, later: bool) -> None:
        self.later = later
        self._waiting: list[_Waiting] = []

    def __enter__(self) -> "FiniteChecks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Stopped):
            self.finish()

    def add(self, losses: Losses, step: int, image_ids: list[int]) -> None:
        """Check the losses of a batch, or those of earlier steps if these have time until the next step.

        Raises:
            FloatingPointError: if a loss is not finite; names the step, the term and the images.
        """
        if not self.later:
            if not torch.isfinite(losses.total):
                _check(_Waiting(step, image_ids, *_terms(losses), arrived=None))
            return
        self._read([each for each in self._waiting if each.step < step])
        names, values = _terms(losses)
        arrived = None
        if values.is_cuda:
            values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(torch.cuda.current_stream(losses.total.device))
        self._waiting.append(_Waiting(step, image_ids, names, values, arrived))

    def finish(self) -> None:
        """Check what has not been checked yet; errors as in `add`."""
        self._read(list(self._waiting))

    def _read(self, ready: list[_Waiting]) -> None:
        self._waiting = self._waiting[len(ready) :]
        for each in ready:
            if each.arrived is not None:
                each.arrived.synchronize()
            _check(each)


def _terms(losses: Losses) -> tuple[list[str], Tensor]:
    return list(losses.weighted), torch.stack([*losses.weighted.values(), losses.total]).detach()


def _check(losses: _Waiting) -> None:
    finite = losses.values.isfinite()
    if not finite.all():
        bad = ", ".join(name for name, fine in zip(losses.names, finite[:-1].tolist(), strict=True) if not fine)
        raise FloatingPointError(f"step {losses.step}: loss {bad} is not finite, images {losses.image_ids}")


AT_ONCE = FiniteChecks(later=False)
