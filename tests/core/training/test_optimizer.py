"""The learning rate as a function of the step, against numbers worked out by hand and against torch's own."""

import pytest
import torch

from core.config import TrainingConfig
from core.model.bifpn import BiFeaturePyramid
from core.training.optimizer import build_optimizer, one_cycle_rate, step_rate


def test_step_schedule_ramps_and_drops_tenfold() -> None:
    rate = {
        s: step_rate(s, 90_000, warmup_steps=1000, drops=(60 / 90, 80 / 90))
        for s in (0, 500, 1000, 59_999, 60_000, 80_000)
    }
    assert rate[0] == pytest.approx(0.001)
    assert rate[500] == pytest.approx(0.5005)  # half way between 0.001 and 1
    assert rate[1000] == rate[59_999] == 1.0
    assert rate[60_000] == pytest.approx(0.1)
    assert rate[80_000] == pytest.approx(0.01)


def test_one_cycle_equals_torch() -> None:
    steps, share = 200, 0.15
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch places the peak at `pct_start * steps - 1`; ours at `share * steps`
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, steps, pct_start=(share * steps + 1) / steps)
    for step in range(steps):
        assert one_cycle_rate(step, steps, warmup_share=share) == pytest.approx(reference.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        if step + 1 < steps:
            reference.step()


def test_a_schedule_of_one_step_is_defined() -> None:
    assert 0 < one_cycle_rate(0, 1, warmup_share=0.0) <= 1


def test_norm_layers_are_not_decayed() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.GroupNorm(2, 8))
    groups = build_optimizer(model, TrainingConfig()).param_groups
    assert [len(group["params"]) for group in groups] == [2, 2]
    assert groups[1]["weight_decay"] == 0.0


def test_norms_that_several_gpus_synchronize_are_not_decayed_either() -> None:
    def group_sizes(model: torch.nn.Module) -> list[int]:
        return [len(group["params"]) for group in build_optimizer(model, TrainingConfig()).param_groups]

    pyramid = BiFeaturePyramid(in_channels=(8, 8, 8), channels=8, num_levels=5, repeats=1)
    alone = group_sizes(pyramid)
    synchronized = torch.nn.SyncBatchNorm.convert_sync_batchnorm(pyramid)
    norms = [module for module in synchronized.modules() if isinstance(module, torch.nn.SyncBatchNorm)]
    assert group_sizes(synchronized) == alone
    assert alone[1] == 2 * len(norms) > 0  # weight and bias of each
