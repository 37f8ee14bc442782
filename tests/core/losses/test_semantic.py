import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.datasets.mask_tensors import semantic_labels
from core.losses.semantic import semantic_loss
from core.structures import BACKGROUND


def test_loss_of_two_photos_and_its_gradient_golden(golden: Callable[[str], dict[str, np.ndarray]]) -> None:
    arrays = golden("n_semantic_loss")
    labels = []
    for i in (0, 1):
        # AdelaiDet's masks of boxes: rows int(y1) to int(y2) inclusive, columns likewise.
        masks = torch.zeros(len(arrays[f"boxes{i}"]), *arrays["image_size"].tolist(), dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, arrays[f"boxes{i}"].astype(int).tolist(), strict=True):
            mask[y1 : y2 + 1, x1 : x2 + 1] = 1
        labels.append(semantic_labels(masks, torch.as_tensor(arrays[f"classes{i}"])))
    logits = torch.tensor(arrays["logits"], requires_grad=True)
    total, count = semantic_loss(logits, labels, alpha=0.25, gamma=2.0)
    loss = total / count
    assert loss.item() == pytest.approx(float(arrays["loss_sem"]), rel=1e-6)
    loss.backward()
    torch.testing.assert_close(logits.grad, torch.as_tensor(arrays["grad_logits"]), atol=1e-7, rtol=1e-6)


def test_cells_and_classes_are_summed_and_the_cells_of_instances_counted() -> None:
    logits = torch.zeros(1, 2, 1, 3)
    labels = torch.tensor([[0, 1, BACKGROUND]])
    # Six (cell, class) pairs at probability 1/2: focal (1/2)^2 ln 2, alpha 1/4 for the two true ones, 3/4 for the rest.
    expected = (2 * 0.25 + 4 * 0.75) * 0.25 * math.log(2)
    total, count = semantic_loss(logits, [labels], alpha=0.25, gamma=2.0)
    assert total.item() == pytest.approx(expected)
    assert count == 2


def test_an_image_without_labels_counts_for_nothing() -> None:
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (4, 5))
    settings = {"alpha": 0.25, "gamma": 2.0}
    both, second = (semantic_loss(*each, **settings) for each in ((logits, [None, labels]), (logits[1:], [labels])))
    torch.testing.assert_close(both, second)
    logits.requires_grad_()
    nothing, count = semantic_loss(logits, [None, None], **settings)
    nothing.backward()
    assert nothing.item() == count == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_cells_in_an_ignored_region_count_where_they_show_an_instance() -> None:
    logits = torch.zeros(1, 2, 1, 3, requires_grad=True)
    labels = torch.tensor([[0, BACKGROUND, BACKGROUND]])
    ignored = torch.tensor([[[True, True, False]]])
    # Two cells are left: of their four pairs at probability 1/2, one is true.
    total, count = semantic_loss(logits, [labels], alpha=0.25, gamma=2.0, ignored=ignored)
    assert total.item() == pytest.approx((0.25 + 3 * 0.75) * 0.25 * math.log(2))
    assert count == 1
    total.backward()
    assert logits.grad[0, :, 0].any(0).tolist() == [True, False, True]
